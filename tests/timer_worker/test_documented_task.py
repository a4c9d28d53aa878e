"""The task of the README and the two examples of docs/tasks.md, run as they are printed there."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.services import Services
from shared.sweep_queue import due_slots
from tests.running_app import Clock
from tests.support import ROOT, sign_in
from timer_worker.sweep import Sweep


def examples_of(page: str) -> dict[str, Any]:
    """The names that the page's Python blocks define."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102 - the page's own code
    return names


def test_the_pages_own_test_passes_and_can_fail() -> None:
    """It passes with the page's task, and fails with a task that does nothing."""
    examples = examples_of("docs/tasks.md")
    examples["test_meetings_are_counted"]()
    examples["meetings_today"] = lambda *_: None
    with pytest.raises(AssertionError):
        examples["test_meetings_are_counted"]()


@pytest.mark.parametrize("page", ["README.md", "docs/tasks.md"])
def test_the_pages_task_runs_in_a_sweep(page: str, make_services: Callable[..., Services]) -> None:
    """The task reads the sample Graph's calendar and stores the number."""
    clock = Clock()
    app = make_services(clock=clock, SCOPES="User.Read Calendars.Read")
    account = sign_in(app)
    clock.move(hours=2)
    record = Sweep(app, tasks=examples_of(page)["TASKS"]).run(due_slots(app.store, clock()))
    assert record is not None
    assert record.counts == {"fresh": 1}
    known = app.store.get(account.account_id)
    assert known is not None
    assert known.task_state["meetings_today"]["meetings"] >= 0


def test_the_pages_task_can_stand_in_a_module_of_its_own(tmp_path: Path) -> None:
    """The app loads when timer_worker/tasks.py imports it from there: no import is circular."""
    shutil.copytree(ROOT / "timer_worker", tmp_path / "timer_worker")
    page = (ROOT / "docs/tasks.md").read_text("utf-8")
    block = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert block
    (tmp_path / "timer_worker" / "meetings.py").write_text(block[1], "utf-8")
    tasks = tmp_path / "timer_worker" / "tasks.py"
    head, end, rest = tasks.read_text("utf-8").partition("\nimport hashlib\n")
    assert end
    whole = f"{head}\nfrom timer_worker.meetings import MEETINGS{end}{rest}\nTASKS = (*TASKS, MEETINGS)\n"
    tasks.write_text(whole, "utf-8")
    code = "import function_app; from timer_worker.tasks import TASKS; print(*(task.name for task in TASKS))"
    places = f"sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {places}; {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["profile_changes", "meetings_today"]
