"""The two examples of docs/tasks.md, as they stand there."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from shared.services import Services
from shared.sweep_queue import due_slots
from tests.running_app import Clock
from tests.support import ROOT, sign_in
from timer_worker.sweep import Sweep


@pytest.fixture
def examples() -> dict[str, Any]:
    """What the page's Python blocks define."""
    names: dict[str, Any] = {}
    for block in re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "tasks.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        exec(block, names)  # noqa: S102 - the page's own code
    return names


def test_the_pages_own_test_passes_and_can_fail(examples: dict[str, Any]) -> None:
    """It passes with the page's task, and fails with a task that does nothing."""
    examples["test_meetings_are_counted"]()
    examples["meetings_today"] = lambda *_: None
    with pytest.raises(AssertionError):
        examples["test_meetings_are_counted"]()


def test_the_pages_task_runs_in_a_sweep(examples: dict[str, Any], make_services: Callable[..., Services]) -> None:
    """Against the sample Graph's calendar; the number is kept."""
    clock = Clock()
    app = make_services(clock=clock, SCOPES="User.Read Calendars.Read")
    account = sign_in(app)
    clock.move(hours=2)
    record = Sweep(app, tasks=(examples["MEETINGS"],)).run(due_slots(app.store, clock()))
    assert record is not None
    assert record.counts == {"fresh": 1}
    known = app.store.get(account.account_id)
    assert known is not None
    assert known.task_state["meetings_today"]["meetings"] >= 0
