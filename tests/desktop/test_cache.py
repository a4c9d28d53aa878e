"""The token cache on disk: private and whole, and no client loses what another wrote."""

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
from tests.support import ROOT

# A client that stores one account after the other.
WRITER = """
import sys, time
from pathlib import Path
from desktop.cache import open_cache
cache = open_cache(Path(sys.argv[1]), plain_text=True)
for number in range(int(sys.argv[3])):
    entry = {"home_account_id": f"{sys.argv[2]}-{number}", "environment": "e", "realm": "r", "authority_type": "MSSTS"}
    cache.modify("Account", entry, entry)
    assert list(cache.search("Account", query={"home_account_id": f"{sys.argv[2]}-{number}"})), "lost at once"
"""
# A client that is killed in the middle of a change.
DIES = """
import os, signal, sys
from pathlib import Path
from desktop.lock import FileLock
with FileLock(Path(sys.argv[1])):
    print("locked", flush=True)
    signal.pause()
"""


def start(code: str, *argv: str) -> subprocess.Popen[str]:
    """Starts another client."""
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
    """Others wait while it lives, and go on once it is gone."""
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
    """Mode 0600, even when the file had another mode before."""
    desk.cache_file.write_text("{}")
    desk.cache_file.chmod(0o644)
    desk.login(BEN)
    assert stat.S_IMODE(desk.cache_file.stat().st_mode) == 0o600
    assert {each.name for each in desk.cache_file.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}


@pytest.mark.skipif(sys.platform != "linux" or bool(find_spec("gi")), reason="here tokens can be encrypted")
def test_plain_text_is_by_choice_only(desk: Desk) -> None:
    """Where nothing encrypts: exit code 2, both remedies, and no file."""
    del desk.environ["UNDERSTUDY_PLAIN_TEXT_CACHE"]
    ran = desk.run("accounts", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "no_encryption")
    assert "--plain-text-cache" in ran.json["error"]["remedy"]
    assert not desk.cache_file.exists()
    assert desk.run("accounts", "--plain-text-cache").code == 0


def test_what_one_client_stores_the_other_sees(tmp_path: Path) -> None:
    """Although both opened the cache before."""
    one, other = (open_cache(tmp_path / "tokens.json", plain_text=True) for _ in range(2))
    entry = {"home_account_id": "a", "environment": "e", "realm": "r", "authority_type": "MSSTS"}
    assert list(other.search("Account")) == []
    one.modify("Account", entry, entry)
    assert list(other.search("Account")) == [entry]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("there", ["file", "nothing", "no folder"])
def test_a_link_stays_a_link_and_its_target_is_written(desk: Desk, tmp_path: Path, there: str) -> None:
    """Also when the target does not exist yet. It has mode 0600, and only the lock is beside it."""
    target = tmp_path / "elsewhere" / "real.json"
    if there != "no folder":
        target.parent.mkdir()
    if there == "file":
        target.write_text("{}")
        target.chmod(0o644)
    desk.cache_file.symlink_to(Path("elsewhere") / "real.json")
    desk.login(BEN)
    assert desk.cache_file.is_symlink()
    assert BEN in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert {each.name for each in target.parent.iterdir()} == {"real.json", "real.json.lock"}
    assert desk.run("accounts").out == f"{BEN}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_and_its_target_share_one_lock(tmp_path: Path) -> None:
    """Two clients write by different names; nothing is lost."""
    (tmp_path / "link.json").symlink_to("tokens.json")
    clients = [start(WRITER, str(tmp_path / name), name[0], "25") for name in ("tokens.json", "link.json")]
    for client in clients:
        client.communicate(timeout=60)
    assert len(json.loads((tmp_path / "tokens.json").read_text())["Account"]) == 50


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("obstacle", ["loop", "lock", "folder"])
def test_a_place_that_cannot_be_used_is_said(desk: Desk, obstacle: str) -> None:
    """Links in a circle, a folder in the lock's place, a file in the folder's: exit code 2."""
    if obstacle == "loop":
        desk.cache_file.symlink_to(desk.cache_file.name)
    elif obstacle == "lock":
        desk.cache_file.with_name("tokens.json.lock").mkdir()
    else:
        desk.cache_file.write_text("{}")
        desk.environ["UNDERSTUDY_CACHE"] += "/tokens.json"
    ran = desk.run("accounts", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "usage")
    assert "--cache" in ran.json["error"]["remedy"]


def test_what_a_killed_client_left_half_written_does_not_stay(desk: Desk) -> None:
    """Its new file is replaced by the next save."""
    left = desk.cache_file.with_name("tokens.json.new")
    left.write_text('{"Acc')
    assert desk.login(BEN).code == 0
    assert not left.exists()


def test_two_writers_lose_the_sign_in_under_strict_rotation(desk: Desk, tmp_path: Path) -> None:
    """docs/desktop.md says so: the second to redeem a refresh token ends the sign-in for both."""
    desk.tenant.change_settings(rotation="strict")
    desk.login(BEN)
    content = json.loads(desk.cache_file.read_text()) | {"AccessToken": {}}
    copy = tmp_path / "copy.json"
    for file in (desk.cache_file, copy):
        file.write_text(json.dumps(content))
    assert desk.run("token").code == 0
    desk.environ["UNDERSTUDY_CACHE"] = str(copy)
    assert "AADSTS70000" in desk.run("token").err
    assert desk.tenant.log()["families_revoked"] == 1
