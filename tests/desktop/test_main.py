"""How a command ends: its exit code, and with `--json` always one JSON object on stdout."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.desktop.desk import BEN, Desk
from tests.support import ROOT

CANCELLED = {
    "error": {
        "code": "cancelled",
        "happened": "Cancelled.",
        "fix": "you",
        "remedy": "",
        "reference": "",
        "next_step": "",
    },
    "exit_code": 1,
}

# Takes the place of MSAL, says that it is being imported, and does not come to an end.
ENDLESS_MODULE = """
import sys, time
print("importing", file=sys.stderr, flush=True)
while True:
    time.sleep(0.01)
"""


def start(desk: Desk, *argv: str, **environ: str) -> "subprocess.Popen[str]":
    """A command as a process of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "NO_PROXY")}
    command = [sys.executable, "-m", "desktop", *argv]
    environment = kept | desk.environ | environ
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    "argv",
    [
        ["--json"],
        ["--json", "smoke-signals"],
        ["login", "--flow", "smoke-signals", "--json"],
        ["login", "--timeout", "soon", "--json"],
        ["accounts", "--json", "--account"],
        ["accounts", "--json=yes", "--json"],
        ["token", "--js", "surplus"],
        ["login", "--json", "--flow", "username-password"],
        ["--authority", "--json", "accounts"],
    ],
)
def test_wrong_usage_is_json_for_programs(desk: Desk, argv: list[str]) -> None:
    """Whoever finds the mistake, argparse or we: exit code 2, one object, nothing else."""
    ran = desk.run(*argv)
    assert (ran.code, ran.json["exit_code"], ran.json["error"]["code"]) == (2, 2, "usage")
    assert ran.err == ""


@pytest.mark.parametrize("argv", [[], ["smoke-signals"], ["login", "--flow", "smoke-signals"], ["token", "surplus"]])
def test_wrong_usage_is_one_line_for_people(desk: Desk, argv: list[str]) -> None:
    """It names the help of the command."""
    ran = desk.run(*argv)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "See: python -m desktop" in ran.err
    assert "--help" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_while_a_person_is_waited_for(desk: Desk, as_json: bool) -> None:
    """Exit code 1 and the code `cancelled`, or one word; never a traceback."""
    with start(desk, "login", "--flow", "device-code", *(["--json"] if as_json else [])) as process:
        assert process.stderr is not None
        assert "/device" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    if as_json:
        assert (json.loads(out), err) == (CANCELLED, "")
    else:
        assert (out, err) == ("", "Cancelled.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_while_python_still_imports(desk: Desk, tmp_path: Path, as_json: bool) -> None:
    """The same answer: a program gets its JSON object, and nobody gets a traceback."""
    (tmp_path / "msal.py").write_text(ENDLESS_MODULE)
    with start(desk, "token", *(["--json"] if as_json else []), PYTHONPATH=str(tmp_path)) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    if as_json:
        assert (json.loads(out), err) == (CANCELLED, "")
    else:
        assert (out, err) == ("", "Cancelled.\n")


def test_a_name_that_the_terminal_cannot_show_is_escaped(desk: Desk) -> None:
    """A user name in Polish on a terminal that knows ASCII only."""
    desk.login(BEN)
    desk.cache_file.write_text(desk.cache_file.read_text().replace(BEN, "j\\u00f3zef@contoso.example"))
    with start(desk, "accounts", PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "j\\xf3zef@contoso.example\n", "")
