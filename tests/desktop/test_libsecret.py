"""Encryption by libsecret while many clients run: msal-extensions' trial is no reason to refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

STAND_IN = Path(__file__).parent / "libsecret_stand_in"
# Forty clients that start at the same moment: each opens the cache and stores an account.
CROWD = """
import os, sys
from pathlib import Path
from desktop.cache import open_cache

file = Path(sys.argv[1])
start, go = os.pipe()
clients = []
for number in range(40):
    client = os.fork()
    if not client:
        os.close(go)
        os.read(start, 1)
        code = 1
        try:
            entry = {"home_account_id": str(number), "environment": "e", "realm": "r", "authority_type": "MSSTS"}
            open_cache(file, plain_text=False).modify("Account", entry, entry)
            code = 0
        finally:
            os._exit(code)
    clients.append(client)
os.close(go)
print(sum(os.waitpid(client, 0)[1] == 0 for client in clients))
print(len(list(open_cache(file, plain_text=False).search("Account"))))
"""
OPENED = """
import json, sys
from pathlib import Path
from desktop.cache import open_cache
from desktop.failures import Failed

try:
    open_cache(Path(sys.argv[1]), plain_text=False)
    print(json.dumps("opened"))
except Failed as failed:
    print(json.dumps(failed.code))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libsecret is Linux's")


def run(code: str, folder: Path, *, foreign_trials: int = 0) -> str:
    """Runs a client beside the stand-in; gives its output."""
    (folder / "keyring").mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(STAND_IN),
        "STAND_IN_KEYRING": str(folder / "keyring"),
        "STAND_IN_FOREIGN_TRIALS": str(foreign_trials),
    }
    command = [sys.executable, "-c", code, str(folder / "tokens.bin")]
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_forty_clients_at_once_all_encrypt_and_lose_nothing(tmp_path: Path) -> None:
    """No trial meets another, and all forty accounts are stored."""
    assert run(CROWD, tmp_path).split() == ["40", "40"]


@pytest.mark.parametrize(("foreign_trials", "expected"), [(0, "opened"), (2, "opened"), (3, "no_encryption")])
def test_another_programs_trial_is_waited_out(tmp_path: Path, foreign_trials: int, expected: str) -> None:
    """A trial entry that somebody else deleted is tried again, but not for ever."""
    assert json.loads(run(OPENED, tmp_path, foreign_trials=foreign_trials)) == expected
