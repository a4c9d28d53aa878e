"""The task of the README and the examples of docs/tasks.md, run as they are printed, where the page says they go."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.services import Services
from shared.sweep_queue import due_slots
from tests.running_app import Clock
from tests.support import ROOT, MakeServices, sign_in
from timer_worker.sweep import Sweep


def blocks_of(page: str) -> list[str]:
    """The page's Python blocks."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the app's code with the page's blocks in their places."""
    for part in ("tasks", "shared", "timer_worker"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    task, listing, test = blocks_of("docs/tasks.md")
    (tmp_path / "tasks" / "meetings_today.py").write_text(task, "utf-8")
    (tmp_path / "tasks" / "__init__.py").write_text(listing, "utf-8")
    (tmp_path / "test_meetings.py").write_text(test, "utf-8")
    return tmp_path


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python in the copy."""
    environment = {**os.environ, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_pages_own_test_passes_and_can_fail(project: Path) -> None:
    """It passes with the page's task, and fails with a task that does nothing."""
    pytest_alone = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_meetings.py")
    passed = run(project, *pytest_alone)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    file = project / "tasks" / "meetings_today.py"
    head, found, _ = file.read_text("utf-8").partition("    day = {")
    assert found
    file.write_text(head, "utf-8")
    assert run(project, *pytest_alone).returncode == 1


def test_the_pages_task_passes_mypy(project: Path) -> None:
    """Strictly, as the rest of the code."""
    options = ("--strict", "--python-version", "3.11", "--explicit-package-bases", "--follow-imports", "silent")
    checked = run(project, "-m", "mypy", *options, "--config-file", "", "--cache-dir", ".cache", "tasks")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/tasks.md"])
def test_the_pages_task_runs_in_a_sweep(page: str, make_services: MakeServices) -> None:
    """The task reads the sample Graph's calendar and stores the number."""
    names: dict[str, object] = {}
    exec(blocks_of(page)[0], names)  # noqa: S102 - the page's own code
    clock = Clock()
    app: Services = make_services(
        clock=clock, wait=clock.wait, SCOPES="User.Read Calendars.Read", tasks=(names["meetings_today"],)
    )
    account = sign_in(app)
    clock.move(hours=2)
    record = Sweep(app).run(due_slots(app.store, clock()))
    assert record is not None
    assert record.counts == {"fresh": 1}
    known = app.store.get(account.account_id)
    assert known is not None
    assert known.task_state["meetings_today"]["meetings"] >= 0
