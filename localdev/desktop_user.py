"""A person at a command line: runs `python -m desktop` as a shell would, and enters device codes on another device."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from localdev.tenant import SampleTenant, Visitor

_PROJECT = Path(__file__).resolve().parents[1]
_SECONDS = 60.0
_KEPT = ("PATH", "SYSTEMROOT", "TEMP")


class CommandFailedError(Exception):
    """A command failed. The message is its output."""


def environment(tenant: SampleTenant, folder: Path, api_url: str) -> dict[str, str]:
    """The client's settings on one machine that stores its tokens in `folder`."""
    return {
        "DESKTOP_CLIENT_ID": tenant.desktop_client_id,
        "AUTHORITY": tenant.authority,
        "API_URL": api_url,
        "API_SCOPE": f"api://{tenant.client_id}/access_as_user",
        "GRAPH_URL": tenant.graph_url,
        "UNDERSTUDY_CACHE": str(folder / "tokens.json"),
        "UNDERSTUDY_PLAIN_TEXT_CACHE": "1",
        "REQUESTS_CA_BUNDLE": str(tenant.ca_bundle),
    }


class DesktopUser:
    """One machine with its token cache.

    Args:
        folder: where the tokens are stored.
        api_url: the app's URL.
    """

    def __init__(self, tenant: SampleTenant, folder: Path, api_url: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name in _KEPT}
        self.environ = kept | environment(tenant, folder, api_url) | {"NO_PROXY": "localhost,127.0.0.1"}

    def run(self, *argv: str) -> dict[str, Any]:
        """Runs a command and returns its JSON. Raises CommandFailedError."""
        with self._start(*argv) as process:
            return _ended(process)

    def sign_in(self, username: str) -> dict[str, Any]:
        """Reads a device code from stderr and enters it in a browser. Raises CommandFailedError, SignInRefused."""
        with self._start("login", "--flow", "device-code") as process:
            assert process.stderr is not None
            asked = json.loads(process.stderr.readline())
            Visitor().allow_device(asked["verification_uri"], asked["user_code"], username)
            return _ended(process)

    def _start(self, *argv: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-W", "error", "-m", "desktop", "--json", *argv]
        return subprocess.Popen(
            command, cwd=_PROJECT, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


def _ended(process: "subprocess.Popen[str]") -> dict[str, Any]:
    said, complained = process.communicate(timeout=_SECONDS)
    if process.returncode or complained:
        raise CommandFailedError(f"exit code {process.returncode}: {said}{complained}")
    return dict(json.loads(said))
