"""npm's oidc-provider as a child process: a certified OpenID provider that nobody here wrote.

It listens on localhost, behind TLS, and its issuer has no path. What is not asked for stays as its authors chose it.
openid_provider_service.mjs is the script around it; https://github.com/panva/node-oidc-provider is its documentation.

Errors (the base is never raised)::

    OpenIdProviderError
    +-- OpenIdProviderMissing   not installed
    +-- OpenIdProviderFailed    it did not start, or exited unexpectedly
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urljoin

import requests

from localdev import tls
from localdev.azurite import find_node

_SERVICE = Path(__file__).with_name("openid_provider_service.mjs")
_PROJECT = Path(__file__).resolve().parents[1]
_PACKAGE = "oidc-provider"
_STOP_SECONDS = 5.0
_MOST_REDIRECTS = 20

CLIENT_ID = "understudy"
CLIENT_SECRET = "a secret: 100% of it & more"  # noqa: S105 - only a test's; every odd character must survive


class OpenIdProviderError(Exception):
    """Base of this module's errors; never raised itself."""


class OpenIdProviderMissing(OpenIdProviderError):
    """The package, or the Node that runs it, is not installed."""


class OpenIdProviderFailed(OpenIdProviderError):
    """It did not start, or exited. The message ends with its last output."""


@dataclass(frozen=True)
class Installation:
    """What runs it: Node, and the package's folder."""

    node: Path
    package: Path


def find() -> Installation:
    """Finds the package as dev.py installs it, else in a folder of NODE_PATH (``npm install -g oidc-provider``).

    Raises: OpenIdProviderMissing
    """
    node = find_node()
    if node is None:
        raise OpenIdProviderMissing("Node is not installed")
    folders = [each / _PACKAGE / "node_modules" for each in (Path(sys.prefix), _PROJECT / ".venv")]
    folders += [Path(each) for each in os.environ.get("NODE_PATH", "").split(os.pathsep) if each]
    for folder in folders:
        if (folder / _PACKAGE / "lib" / "index.js").is_file():
            return Installation(node, folder / _PACKAGE)
    raise OpenIdProviderMissing(f"npm's {_PACKAGE} is not installed; `python3 dev.py test` installs it")


class OpenIdProvider:
    """The provider. A context manager; it exits when this process does, however it ends.

    Attributes:
        issuer: https://localhost:<port>.
    """

    def __init__(self) -> None:
        self.issuer = ""
        self._redirect_uris: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="openid-provider-")
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by stop()
        self._talking = threading.Lock()
        self._tls: tls.TlsFiles | None = None

    def start(self) -> Self:
        """Returns when it answers. Raises: OpenIdProviderMissing, OpenIdProviderFailed"""
        installation = find()
        self._tls = tls.ensure(Path(self._folder.name))
        self._process = subprocess.Popen(
            [str(installation.node), str(_SERVICE), str(installation.package)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        files = {"certificate": self._tls.certificate.read_text(), "private_key": self._tls.key.read_text()}
        self.issuer = self._command("start", **files)["issuer"]
        self.reset()
        return self

    def stop(self) -> None:
        """Ends it and waits for that."""
        if self._process:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def ca_bundle(self) -> Path:
        """A PEM file with the CA behind its address."""
        assert self._tls, "it has not been started"
        return self._tls.ca_bundle

    def settings(self, redirect_base: str) -> dict[str, str]:
        """App settings for an app whose public URL is `redirect_base`; its callback is registered."""
        callback = redirect_base.rstrip("/") + "/signin/callback"
        if callback not in self._redirect_uris:
            self._redirect_uris.append(callback)
            self.change(redirect_uris=self._redirect_uris)
        return {
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": CLIENT_SECRET,
            "AUTHORITY": "",
            "OIDC_AUTHORITY": self.issuer,
            "GRAPH_URL": "",
            "SCOPES": "openid profile offline_access",
            "REQUESTS_CA_BUNDLE": str(self.ca_bundle),
        }

    def sign_in(self, url: str, person: str, *, refuse: str = "", browser: requests.Session | None = None) -> str:
        """Goes from an authorization URL to the redirect back to the app. Returns that URL without following it.

        Args:
            refuse: scopes that the person does not agree to, by space.
            browser: keeps the provider's cookies.
        """
        with requests.Session() if browser is None else browser as http:
            http.trust_env = False
            headers = {"X-Person": person, "X-Refuse": refuse}
            for _ in range(_MOST_REDIRECTS):
                answer = http.get(url, headers=headers, verify=str(self.ca_bundle), allow_redirects=False)
                if not answer.is_redirect:
                    break
                url = urljoin(url, answer.headers["Location"])
                if not url.startswith(self.issuer + "/"):
                    return url
        raise OpenIdProviderError(
            f"the provider did not lead back to the app: {answer.status_code} {answer.text[:500]}"
        )

    def reset(self, **settings: Any) -> None:
        """Nobody has signed in, nothing is counted, and these settings alone differ from the library's own.

        Args:
            settings: `algorithm` of id tokens; `rotation` (a bool; without it the library decides);
                `client_authentication` (registered for the client) and `client_authentications` (offered);
                `client_keys` (a JWK set, instead of the secret); `access_token_seconds`; `refresh_tokens` (a bool: may
                the client have any?); `latency_ms` of the token endpoint.
        """
        given = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uris": self._redirect_uris}
        self._command("reset", **given, **settings)

    def change(self, **settings: Any) -> None:
        """Changes settings (see `reset`). Grants and counts stay."""
        self._command("change", **settings)

    def counts(self) -> dict[str, Any]:
        """What the provider itself counted: `token_requests`, `redeemed` and `reused` refresh tokens, `refused` (error
        and detail of each), `asked` (the parameters of authorization requests), `keys_fetched`, and `authentications`
        of the client by `basic` and `body`."""
        return self._command("counts")

    def rotate_keys(self) -> None:
        """Signs with a new key from now on, and publishes that one alone."""
        self._command("rotate_keys")

    def revoke(self, person: str) -> None:
        """Takes back everything that this person granted."""
        self._command("revoke", person=person)

    def go_away(self) -> None:
        """Breaks every connection, until `come_back`."""
        self._command("go_away")

    def come_back(self) -> None:
        """Answers again."""
        self._command("come_back")

    def lose_answers(self, count: int) -> None:
        """Does what the next token requests ask for, and breaks the connection instead of answering."""
        self._command("lose_answers", count=count)

    def _command(self, command: str, **arguments: Any) -> dict[str, Any]:
        assert self._process, "it has not been started"
        with self._talking:
            said, heard = self._process.stdin, self._process.stdout
            assert said
            assert heard
            try:
                said.write(json.dumps({"command": command, **arguments}) + "\n")
                said.flush()
                line = heard.readline()
            except OSError:
                line = ""
            if not line:
                self._errors.seek(0)
                raise OpenIdProviderFailed(f"the OpenID provider ended: {self._errors.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer
