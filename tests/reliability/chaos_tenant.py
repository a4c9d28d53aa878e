"""The sample tenant as a process of its own, which writes down each token request: `python -m
tests.reliability.chaos_tenant <rotation> <file>`.

It prints one line of JSON with the app's settings, and serves until it is told to stop. The file gets one line of JSON
per token request: what was presented and what was given, both as digests, and whether the answer was sent whole.
Beside it, `<file>.secrets` gets every secret itself, one per line, for the search through the hosts' logs.
"""

import base64
import hashlib
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localdev.tenant import SampleTenant

_SECRETS = ("refresh_token", "access_token", "id_token", "code", "assertion", "client_secret")


def digest_of(secret: str) -> str:
    """Names a secret without telling it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16] if secret else ""


class Recorder:
    """An ASGI app around the tenant's: writes one line per token request when its answer is over."""

    def __init__(self, app: ASGIApp, file: Path) -> None:
        self._app = app
        self._file = file.open("a", encoding="utf-8", buffering=1)
        self._secrets = file.with_name(file.name + ".secrets").open("a", encoding="utf-8", buffering=1)
        self._known: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or not scope["path"].endswith("/token"):
            await self._app(scope, receive, send)
            return
        at, asked, answered = time.time(), bytearray(), bytearray()
        seen: dict[str, Any] = {"status": 0, "whole": False}

        async def hear() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def say(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
            elif message["type"] == "http.response.body":
                answered.extend(message.get("body", b""))
                seen["whole"] = not message.get("more_body", False)

        try:
            await self._app(scope, hear, say)
        finally:
            self._write(at, dict(parse_qsl(asked.decode("utf-8", "replace"))), bytes(answered), seen)

    def _write(self, at: float, form: dict[str, str], body: bytes, seen: dict[str, Any]) -> None:
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        for each in (form, answer):
            self._keep(str(each[name]) for name in _SECRETS if each.get(name))
        line = {
            "at": at,
            "done": time.time(),
            "grant": form.get("grant_type", ""),
            "presented": digest_of(form.get("refresh_token", "")),
            "given": digest_of(answer.get("refresh_token", "")),
            "account": _account_in(answer.get("id_token", "")),
            "status": seen["status"],
            "whole": bool(seen["whole"] and answer),
            "said": str(answer.get("error_description", answer.get("error", "")))[:120],
        }
        self._file.write(json.dumps(line) + "\n")

    def _keep(self, secrets: Any) -> None:
        for secret in secrets:
            if secret not in self._known:
                self._known.add(secret)
                self._secrets.write(secret + "\n")


def _account_in(id_token: str) -> str:
    """`<oid>.<tid>` of an id token; "" without one."""
    if not id_token:
        return ""
    payload = id_token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"{claims['oid']}.{claims['tid']}"


def main(rotation: str, file: str) -> None:
    """Serves until the parent hangs up (localdev/lifeline.py)."""
    with SampleTenant(around=lambda app: Recorder(app, Path(file)), keep_secrets=False) as tenant:
        tenant.change_settings(rotation=rotation)
        facts = {
            "page_url": tenant.page_url,
            "authority": tenant.authority,
            "tenant_id": tenant.tenant_id,
            "client_id": tenant.client_id,
            "desktop_client_id": tenant.desktop_client_id,
            "settings": tenant.settings("http://localhost:1"),
        }
        print(json.dumps(facts), flush=True)  # noqa: T201 - to the campaign
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
