"""The token cache on disk: private, whole, and nobody's change is lost."""

import json
import os
import signal
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from desktop.cache import open_cache
from desktop.lock import FileLock, LockBusy
from tests.desktop.desk import BEN, Desk

ROOT = Path(__file__).parents[2]
# A client that keeps its own copy of the cache, and stores one account after the other.
WRITER = """
import sys, time
from pathlib import Path
from desktop.cache import open_cache
cache = open_cache(Path(sys.argv[1]), plain_text=True)
for number in range(int(sys.argv[3])):
    entry = {"home_account_id": f"{sys.argv[2]}-{number}", "environment": "e", "realm": "r"}
    cache.modify("Account", entry, entry)
    assert list(cache.search("Account", query={"home_account_id": f"{sys.argv[2]}-{number}"})), "lost at once"
"""
# One that is killed in the middle of a change.
DIES = """
import os, signal, sys
from pathlib import Path
from desktop.lock import FileLock
with FileLock(Path(sys.argv[1])):
    print("locked", flush=True)
    signal.pause()
"""


def start(code: str, *argv: str) -> subprocess.Popen[str]:
    """Another client."""
    return subprocess.Popen([sys.executable, "-c", code, *argv], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_clients_at_once_lose_nothing(tmp_path: Path) -> None:
    """Four processes write into one file; every account of each is in it, and it stays readable all the time."""
    file = tmp_path / "tokens.json"
    clients = [start(WRITER, str(file), name, "25") for name in "abcd"]
    assert [client.wait(60) for client in clients] == [0, 0, 0, 0]
    for client in clients:
        client.communicate()
    stored = {each["home_account_id"] for each in json.loads(file.read_text())["Account"].values()}
    assert stored == {f"{name}-{number}" for name in "abcd" for number in range(25)}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_client_that_is_killed_leaves_no_lock_behind(tmp_path: Path) -> None:
    """While it lives others wait; the moment it is gone they go on."""
    lock = tmp_path / "tokens.json.lock"
    with start(DIES, str(lock)) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "locked\n"
        with pytest.raises(LockBusy), FileLock(lock, patience=0.05):
            raise AssertionError("it was locked")
        os.kill(client.pid, signal.SIGKILL)
    with FileLock(lock, patience=0.05):
        assert lock.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_this_users_alone(desk: Desk) -> None:
    """0600, also when a file with other modes lay there."""
    desk.cache_file.write_text("{}")
    desk.cache_file.chmod(0o644)
    desk.login(BEN)
    assert stat.S_IMODE(desk.cache_file.stat().st_mode) == 0o600
    assert {each.name for each in desk.cache_file.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}


@pytest.mark.parametrize("content", ["no cache", "[1, 2]"])
def test_a_file_that_is_no_cache_is_said(desk: Desk, content: str) -> None:
    """Exit code 1 and what to do; it is not overwritten."""
    desk.cache_file.write_text(content)
    for argv in (["accounts"], ["me"], ["login", "--flow", "device-code"]):
        ran = desk.run(*argv, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (1, "cache_unreadable")
    assert desk.cache_file.read_text() == content


@pytest.mark.skipif(sys.platform != "linux" or bool(find_spec("gi")), reason="here tokens can be encrypted")
def test_plain_text_is_by_choice_only(desk: Desk) -> None:
    """Where nothing encrypts, exit code 2 and both ways out; no file is made."""
    del desk.environ["UNDERSTUDY_PLAIN_TEXT_CACHE"]
    ran = desk.run("accounts", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "no_encryption")
    assert "--plain-text-cache" in ran.json["error"]["remedy"]
    assert not desk.cache_file.exists()
    assert desk.run("accounts", "--plain-text-cache").code == 0


def test_what_one_client_stores_the_other_sees(tmp_path: Path) -> None:
    """Both were open before."""
    one, other = (open_cache(tmp_path / "tokens.json", plain_text=True) for _ in range(2))
    entry = {"home_account_id": "a", "environment": "e", "realm": "r"}
    assert list(other.search("Account")) == []
    one.modify("Account", entry, entry)
    assert list(other.search("Account")) == [entry]
