"""Children that end with their parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localdev.lifeline import PROGRAM, Child
from tests.support import ROOT

PATIENT = """
import sys, time
try:
    print("ready", *sys.argv[1:], flush=True)
    while True:
        time.sleep(0.05)
except KeyboardInterrupt:
    print("tidied", flush=True)
    sys.exit(3)
"""
# Starts a child of its own, as func does.
FAMILY = """
import subprocess, sys
grandchild = "import time; print('grandchild', flush=True); time.sleep(30); print('outlived')"
child = subprocess.Popen([sys.executable, "-c", grandchild])
child.wait()
"""


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that waits to be interrupted."""
    (tmp_path / "patient.py").write_text(PATIENT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "patient"


def output_of(child: Child) -> str:
    """All that is left to read, until the last process that holds the pipe has ended."""
    assert child.process.stdout is not None
    with child.process.stdout:
        return child.process.stdout.read().decode()


def first_line_of(child: Child) -> str:
    """Waits for it."""
    assert child.process.stdout is not None
    return child.process.stdout.readline().decode().strip()


def test_module_is_interrupted_when_the_parent_hangs_up(patient: str) -> None:
    """It gets its arguments, tidies up, and its exit code comes back."""
    child = Child([patient, "--some", "thing"], folder=ROOT, output=subprocess.PIPE)
    assert first_line_of(child) == "ready --some thing"
    assert child.stop() == 3
    assert output_of(child) == "tidied\n"


def test_module_is_interrupted_although_its_shell_ignores_interrupts(patient: str) -> None:
    """A background job of a shell inherits "ignore SIGINT"; the lifeline works all the same."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = Child([patient], folder=ROOT, output=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert first_line_of(child) == "ready"
    assert child.stop() == 3
    output_of(child)


def test_module_that_ends_by_itself_keeps_its_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hanging up on a child that is gone already changes nothing."""
    (tmp_path / "short.py").write_text("import sys; sys.exit(5)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    child = Child(["short"], folder=ROOT, output=subprocess.PIPE)
    assert output_of(child) == ""
    assert child.process.wait(10) == 5
    assert child.stop() == 5


@pytest.mark.skipif(os.name == "nt", reason="a signal's number in an exit code is POSIX's")
def test_program_ends_with_all_that_it_started() -> None:
    """The grandchild, which nobody told anything, is gone too: the pipe that it inherited ends."""
    child = Child([PROGRAM, sys.executable, "-c", FAMILY], folder=ROOT, output=subprocess.PIPE)
    assert first_line_of(child) == "grandchild"
    child.stop()
    assert "outlived" not in output_of(child).splitlines()


def test_children_end_when_their_parent_is_killed(patient: str) -> None:
    """Even a parent that could not tidy up leaves no child behind."""
    parent = f"""
import time
from pathlib import Path
from localdev.lifeline import Child
child = Child([{patient!r}], folder=Path.cwd())
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
        assert process.stdout.read() == "tidied\n"
