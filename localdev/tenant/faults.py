"""Faults on request: what an endpoint does instead of answering, and how that looks on the wire.

A fault of a *_midway kind, `truncated`, `large` or `foreign_links` lets the endpoint do its work first (a code is
spent, a refresh token rotated, a mail sent) and then changes the answer. Every other kind replaces the work.

    throttle        429, or another `status` such as 503, with Retry-After if given; with `seconds` it counts down
    large           the JSON answer padded with blanks to `size` bytes
    foreign_links   @odata.nextLink and @odata.deltaLink lead to `host`
    challenge       Graph's 401 that asks for a token with other claims
"""

import asyncio
import base64
import json
import math
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

PLACES = ("token", "discovery", "keys", "graph", "userrealm", "api")
INSTEAD = ("throttle", "status", "hang", "reset", "html", "empty", "oauth_error", "challenge")
CHANGED = ("truncated", "large", "foreign_links")
AFTERWARDS = ("hang_midway", "reset_midway", *CHANGED)
KINDS = INSTEAD + AFTERWARDS
# An RST instead of a FIN: SO_LINGER on, zero seconds. On Windows the two fields are shorts.
_LINGER_NOT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_TICK = 0.02
_HTML = "<!DOCTYPE html><title>Gateway</title><h1>The gateway could not reach the service</h1>"


@dataclass(eq=False)
class Fault:
    """One fault, until it is cleared or happened `times` times.

    Attributes:
        username, grant, method, path: only for this person, grant type, HTTP method, or Graph paths (after /v1.0) that
            begin so.
        seconds: only for so long after it was put in force, by the tenant's clock.
        size: of a `large` answer in bytes.
        host: where `foreign_links` lead, with the scheme.
    """

    where: str
    kind: str
    status: int | None = None
    retry_after: float | str | None = None
    body: dict[str, Any] | None = None
    times: int | None = None
    username: str | None = None
    grant: str | None = None
    method: str | None = None
    path: str | None = None
    seconds: float | None = None
    size: int = 4 * 1024 * 1024
    host: str = "https://elsewhere.example"
    hit: int = field(default=0, init=False)
    ends: float = field(default=math.inf, init=False)
    lifted: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.where not in PLACES or self.kind not in KINDS:
            raise ValueError(f"where must be one of {', '.join(PLACES)}; kind one of {', '.join(KINDS)}")
        if self.kind == "status" and not self.status:
            raise ValueError("kind status needs a status")

    def hits(self, where: str, username: str | None, grant: str | None, method: str, path: str) -> bool:
        """Whether it applies to this request."""
        person = self.username is None or (username or "").lower() == self.username.lower()
        way = self.method in (None, method) and path.startswith(self.path or "")
        return self.where == where and person and way and self.grant in (None, grant)


class Faults:
    """The faults in force. The oldest one that applies happens."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._faults: list[Fault] = []
        self.stopping = False

    def start(self) -> None:
        """Called when the server has started: faults may happen now."""
        self.stopping = False

    def add(self, fault: Fault) -> None:
        """Puts a fault in force."""
        fault.ends = math.inf if fault.seconds is None else self._now() + fault.seconds
        self._faults.append(fault)

    def clear(self) -> None:
        """Removes all faults and resets the requests that hang."""
        for fault in self._faults:
            fault.lifted = True
        self._faults.clear()

    def stop(self) -> None:
        """Called when the server stops: resets the requests that hang, for good."""
        self.stopping = True
        self.clear()

    def take(
        self, where: str, username: str | None = None, grant: str | None = None, *, method: str = "", path: str = ""
    ) -> Fault | None:
        """Returns and counts the fault that happens to this request, or None."""
        self._faults = [each for each in self._faults if each.ends > self._now()]
        fault = next((each for each in self._faults if each.hits(where, username, grant, method, path)), None)
        if fault is None:
            return None
        fault.hit += 1
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._faults.remove(fault)
        return fault

    def answer(self, fault: Fault | None, work: Callable[[], Response]) -> Response:
        """Returns what the endpoint sends: the result of `work()`, whole or broken, or something else instead."""
        if fault is None:
            return work()
        if fault.kind in CHANGED:
            return _changed(fault, work())
        if fault.kind in AFTERWARDS:
            return Broken(self, fault, work())
        if fault.kind in ("hang", "reset"):
            return Broken(self, fault, None)
        return self._instead(fault)

    def _instead(self, fault: Fault) -> Response:
        headers = {} if fault.retry_after is None else {"Retry-After": _header(fault.retry_after)}
        if fault.seconds is not None and fault.kind == "throttle" and fault.retry_after is None:
            headers = {"Retry-After": str(max(1, math.ceil(fault.ends - self._now())))}
        if fault.kind == "challenge":
            return _challenge(self._now())
        if fault.kind == "html":
            return HTMLResponse(_HTML, fault.status or 200, headers)
        if fault.kind == "empty":
            return Response(b"", fault.status or 200, headers, media_type="application/json")
        status = fault.status or {"throttle": 429, "oauth_error": 400}[fault.kind]
        return JSONResponse(fault.body or _error(fault.where, status), status, headers)


class Broken(Response):
    """An answer that breaks off at once or half-way, by silence or by a reset of the connection."""

    def __init__(self, faults: Faults, fault: Fault, inner: Response | None) -> None:
        super().__init__()
        self._faults, self._fault, self._inner = faults, fault, inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends half of the inner answer, if there is one, and stops."""
        if self._inner is not None:
            half = bytes(self._inner.body)[: len(self._inner.body) // 2]
            start = {"type": "http.response.start", "status": self._inner.status_code}
            await send({**start, "headers": self._inner.raw_headers})
            await send({"type": "http.response.body", "body": half, "more_body": True})
        gone = asyncio.ensure_future(_gone(receive))
        if self._fault.kind.startswith("hang"):
            while not (gone.done() or self._fault.lifted or self._faults.stopping):
                await asyncio.wait({gone}, timeout=_TICK)
        _reset(scope["extensions"]["understudy.transport"])
        await gone


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _reset(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


def _changed(fault: Fault, whole: Response) -> Response:
    """The endpoint's answer, cut, padded, or with other links."""
    body = bytes(whole.body)
    if fault.kind == "truncated":
        return Response(body[: len(body) // 2], whole.status_code, media_type="application/json")
    if fault.kind == "large":
        body = body.ljust(fault.size)
    else:
        content = json.loads(body)
        for name in {"@odata.nextLink", "@odata.deltaLink"} & content.keys():
            content[name] = fault.host + urlsplit(content[name])._replace(scheme="", netloc="").geturl()
        body = json.dumps(content).encode()
    return Response(body, whole.status_code, media_type="application/json")


def _challenge(now: float) -> Response:
    """Microsoft's page "Claims challenges, claims requests, and client capabilities"."""
    wanted = json.dumps({"access_token": {"nbf": {"essential": True, "value": str(int(now))}}})
    packed = base64.b64encode(wanted.encode()).decode()
    where = "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"
    challenge = f'Bearer realm="", authorization_uri="{where}", error="insufficient_claims", claims="{packed}"'
    error = {"code": "InvalidAuthenticationToken", "message": "The sample Graph was told to ask for other claims."}
    return JSONResponse({"error": error}, 401, {"WWW-Authenticate": challenge})


def _header(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _error(where: str, status: int) -> dict[str, Any]:
    if where in ("graph", "api"):
        code = "TooManyRequests" if status == 429 else "serviceNotAvailable"
        return {
            "error": {
                "code": code,
                "message": f"The sample {'Graph' if where == 'graph' else 'API'} was told to answer {status}.",
            }
        }
    name = "temporarily_unavailable" if status in (429, 503) else "server_error"
    code_number = 90055 if status == 429 else 90033
    text = f"AADSTS{code_number}: The sample tenant was told to answer {status}."
    return {"error": name, "error_description": text, "error_codes": [code_number]}


def fault_from(values: dict[str, Any]) -> Fault:
    """Reads a fault from JSON. Raises ValueError with what is wrong."""
    try:
        return Fault(**values)
    except TypeError as error:
        raise ValueError(f"no such fault: {json.dumps(values)}") from error
