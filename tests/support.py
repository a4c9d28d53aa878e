"""Helpers that tests of several folders use. Fixtures are in the conftest.py files."""

import base64
import fnmatch
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from localdev.tenant import Visitor
from shared.accounts import Account
from shared.sealing import KeyRing
from shared.services import Services

ROOT = Path(__file__).resolve().parents[1]
ADA = "ada@contoso.example"
LONG = bool(os.environ.get("UNDERSTUDY_LONG"))  # `python3 dev.py test --long`
Environment = dict[str, str]
MakeServices = Callable[..., Services]


def wait_until(happened: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Asks `happened()` again and again until it is true. Fails with `what` when it is still false after `seconds`."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not happened():
        if time.monotonic() >= deadline:
            pytest.fail(f"after {seconds:g} s this had not happened: {what}")
        pause.wait(0.01)


def wait_for_line(process: "subprocess.Popen[str]", text: str, seconds: float = 30.0) -> str:
    """Reads a process's output up to a line with `text`, and returns what it read. Kills the process and fails when no
    such line comes in `seconds`."""
    assert process.stdout
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            if text in line:
                return "".join(lines)
    finally:
        timer.cancel()
    pytest.fail(f"no line with {text!r} in {seconds:g} s, but:\n{''.join(lines)}")


def sign_in(app: Services, username: str = ADA) -> Account:
    """Signs somebody in through the tenant's pages and returns the stored account."""
    url, flow = app.identity.begin_sign_in()
    callback = Visitor().sign_in(url, username)
    return app.enrolment.save_sign_in(app.identity.finish_sign_in(flow, dict(parse_qsl(urlsplit(callback).query))))


def stored(app: Services, account: Account) -> Account:
    """The account as it is in the table now. It must be there."""
    known = app.store.get(account.account_id)
    assert known is not None
    return known


def keys_of(make_services: MakeServices) -> str:
    """This test's ENCRYPTION_KEYS. Apps that share rows must share keys."""
    ring: KeyRing = make_services().settings.key_ring
    return ",".join(f"{name}:{base64.urlsafe_b64encode(key).decode()}" for name, key in ring.keys.items())


def ignored(name: str, by: str) -> bool:
    """Whether the ignore file `by` (.gitignore or .funcignore) has a pattern for this name at the project's root."""
    lines = (ROOT / by).read_text("utf-8").splitlines()
    patterns = [line.strip("/") for line in lines if line and not line.startswith("#")]
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
