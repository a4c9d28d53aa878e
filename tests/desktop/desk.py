"""A person at a command line: runs `desktop` in this process and completes its sign-ins."""

import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from desktop.main import main
from localdev.desktop_user import environment
from localdev.tenant import SampleTenant, Visitor

ADA, BEN = "ada@contoso.example", "ben@contoso.example"


@dataclass
class Ran:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """What `--json` printed: one object and nothing else."""
        content: dict[str, Any] = json.loads(self.out)
        return content


@dataclass
class Desk:
    """One machine with its token cache."""

    tenant: SampleTenant
    environ: dict[str, str]

    @classmethod
    def at(cls, tenant: SampleTenant, folder: Path, api_url: str = "http://localhost:9") -> "Desk":
        """A new one; its tokens lie in `folder`."""
        return cls(tenant, environment(tenant, folder, api_url))

    @property
    def cache_file(self) -> Path:
        """Where the tokens are."""
        return Path(self.environ["UNDERSTUDY_CACHE"])

    def run(
        self,
        *argv: str,
        stdin: str = "",
        err: io.StringIO | None = None,
        open_browser: Callable[[str], bool] | None = None,
    ) -> Ran:
        """Runs a command to its end."""
        out, err = io.StringIO(), err or io.StringIO()
        streams = (io.StringIO(stdin), out, err)
        code = main(argv, environ=self.environ, streams=streams, open_browser=open_browser)
        return Ran(code, out.getvalue(), err.getvalue())

    def login(self, username: str = BEN, *argv: str, accept: bool = True) -> Ran:
        """By device code, which `username` allows or declines at once."""
        return self.run("login", "--flow", "device-code", *argv, err=DevicePerson(username, accept=accept))

    def browse(self, username: str = BEN, *argv: str, accept: bool = True) -> Ran:
        """By the browser."""
        return self.run("login", *argv, open_browser=BrowserPerson(username, accept=accept))


class DevicePerson(io.StringIO):
    """A stderr whose reader follows the instructions: enters the code, then allows or declines."""

    def __init__(self, username: str, *, accept: bool = True) -> None:
        super().__init__()
        self._username, self._accept = username, accept

    def write(self, text: str) -> int:
        """Called by print."""
        found = re.search(r"(http://localhost:\d+/device).*?\b([B-Z]{9})\b", text) or re.search(
            r'()"user_code": "([B-Z]{9})"', text
        )
        if found:
            page = found[1] or json.loads(text)["verification_uri"]
            Visitor().allow_device(page, found[2], self._username, accept=self._accept)
        return super().write(text)


@dataclass
class BrowserPerson:
    """A browser with a person who signs in. `pages`: what the loopback server showed; `urls`: where it was sent."""

    username: str
    accept: bool = True
    urls: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    thread: threading.Thread | None = None

    def __call__(self, url: str) -> bool:
        """Opens a window and returns at once, as browsers do."""
        self.urls.append(url)
        self.thread = threading.Thread(target=self._visit, args=(url,))
        self.thread.start()
        return True

    @property
    def asked(self) -> dict[str, str]:
        """The parameters of the authorization request."""
        return dict(parse_qsl(urlsplit(self.urls[-1]).query))

    def _visit(self, url: str) -> None:
        back = urlsplit(Visitor().sign_in(url, self.username, accept=self.accept))
        answer = requests.post(f"http://{back.netloc}/", dict(parse_qsl(back.query)), timeout=10)
        self.pages.append(answer.text)
