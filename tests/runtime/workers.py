"""Two that run the app's functions: Microsoft's library in its own process, and localdev's host. One interface."""

import base64
import io
import json
import logging
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import requests

from localdev.host import IndexedFunction, LocalHost, logs

# The project is on sys.path only while this is imported: the app must find its own modules in its own folder.
_START = (
    "import sys; from pathlib import Path; sys.path.insert(0, {project!r}); from tests.runtime import library_worker; "
    "sys.path.remove({project!r}); library_worker.main(Path({app!r}))"
)


@dataclass(frozen=True)
class Cookie:
    """A Set-Cookie, as the browser understands it."""

    name: str
    value: str
    path: str
    secure: bool
    http_only: bool
    same_site: str
    max_age: int | None


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[Cookie, ...]

    @property
    def cookie_header(self) -> str:
        """What a browser that had no cookies sends next."""
        return "; ".join(f"{each.name}={each.value}" for each in self.cookies if each.max_age != 0)


class Worker(Protocol):
    """Runs functions by name."""

    @property
    def log(self) -> list[str]:
        """The app's log records that arrived, of all invocations; each starts with its level."""

    def triggers(self) -> dict[str, dict[str, Any]]:
        """Each function's trigger, as in function.json."""

    def http(
        self, function: str, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request; `target` is path and query."""

    def timer(self, function: str) -> bool:
        """Fires a timer; did the handler return?"""

    def queue(self, function: str, message: str) -> bool:
        """Delivers a message; did the handler return?"""


class HostWorker:
    """localdev's host, over HTTP. It logs from `start_log` to `stop_log`."""

    def __init__(self, host: LocalHost) -> None:
        self._host = host
        self._functions: dict[str, IndexedFunction] = {each.name: each for each in host.functions}
        self._written = io.StringIO()
        self._handler = logs.handler(self._written)
        self._level = logging.WARNING

    def start_log(self) -> None:
        """Take records from INFO on, as Microsoft's worker does."""
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.INFO)
        root.addHandler(self._handler)

    def stop_log(self) -> None:
        """Leave logging as it was."""
        logging.getLogger().removeHandler(self._handler)
        logging.getLogger().setLevel(self._level)

    @property
    def log(self) -> list[str]:
        """See Worker. The host's own records are left out; a record's further lines belong to it."""
        records = re.split(r"^\[[^\]]*Z\] ", self._written.getvalue(), flags=re.MULTILINE)[1:]
        lines = [record.split(" ", 2) for record in records]
        return [f"{level} {text}" for level, _, text in lines if "Functions." not in text]

    def triggers(self) -> dict[str, dict[str, Any]]:
        """See Worker."""
        return {name: dict(each.trigger.properties) for name, each in self._functions.items()}

    def http(
        self, function: str, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """See Worker. The route decides; a test of another function's answer would fail."""
        assert function in self._functions
        with requests.Session() as http:
            http.trust_env = False
            answer = http.request(
                method, self._host.url + target, headers=headers, data=body or None, allow_redirects=False
            )
        original: Any = answer.raw._original_response
        sent: Message = original.msg
        cookies = [_parsed(text) for text in sent.get_all("Set-Cookie", [])]
        headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() != "set-cookie"}
        return Answer(answer.status_code, headers, answer.content, tuple(cookies))

    def timer(self, function: str) -> bool:
        """See Worker."""
        return self._host.fire(function).succeeded

    def queue(self, function: str, message: str) -> bool:
        """See Worker."""
        return self._host.fire(function, message).succeeded


class LibraryWorker:
    """Microsoft's library.

    Args:
        python: of an environment with the app's packages and azure-functions-runtime.
        app: the folder of function_app.py.
        environment: the process's whole environment.
        log: where its stderr goes.

    Raises:
        AssertionError: it doesn't index the app.
    """

    def __init__(
        self, python: Path, app: Path, environment: Mapping[str, str], log: Path, *, base_url: str, project: Path
    ) -> None:
        self._base_url = base_url
        self._stderr = log
        self.log: list[str] = []
        code = _START.format(project=str(project), app=str(app))
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [python, "-c", code],
                cwd=app,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
            )
        self._functions = {name: each["binding"] for name, each in self._read().items()}

    def triggers(self) -> dict[str, dict[str, Any]]:
        """See Worker."""
        return self._functions

    def http(
        self, function: str, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """See Worker. The message is as the host makes it: lower-case names, empty query values left out."""
        message = {
            "method": method,
            "url": self._base_url + target,
            "headers": {name.lower(): value for name, value in (headers or {}).items()},
            "query": {name: value for name, value in parse_qsl(urlsplit(target).query) if value},
            "params": {},
            "body": base64.b64encode(body).decode(),
        }
        answer = self._ask(function, http=message)
        assert "failed" not in answer, answer
        sent = answer["http"]
        cookies = [
            Cookie(**each | {"max_age": None if each["max_age"] is None else int(each["max_age"])})
            for each in sent["cookies"]
        ]
        headers = {name.lower(): value for name, value in sent["headers"].items()}
        return Answer(sent["status"], headers, base64.b64decode(sent["body"]), tuple(cookies))

    def timer(self, function: str) -> bool:
        """See Worker."""
        moments = {"Last": "2026-01-01T00:00:00+00:00", "Next": "2026-01-01T00:05:00+00:00", "LastUpdated": ""}
        content = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": moments, "IsPastDue": False}
        return "failed" not in self._ask(function, kind="json", value=json.dumps(content))

    def queue(self, function: str, message: str) -> bool:
        """See Worker."""
        metadata = {"Id": "1", "DequeueCount": "1", "PopReceipt": "1"}
        return "failed" not in self._ask(function, kind="string", value=message, metadata=metadata)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def _ask(self, function: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        parameter = self._functions[function]["name"]
        self._process.stdin.write(json.dumps({"function": function, "parameter": parameter} | request) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        self.log += answer["log"]
        return answer

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the worker ended:\n{self._stderr.read_text('utf-8', errors='replace')}"
        answer: dict[str, Any] = json.loads(line)
        return answer


def _parsed(text: str) -> Cookie:
    """A Set-Cookie header as localdev's host writes it: the value is percent-encoded, which browsers leave alone."""
    ((name, morsel),) = SimpleCookie(text.replace("domain=; ", "")).items()
    age = morsel["max-age"]
    return Cookie(
        name,
        unquote(morsel.value),
        morsel["path"],
        bool(morsel["secure"]),
        bool(morsel["httponly"]),
        morsel["samesite"],
        int(age) if age else None,
    )
