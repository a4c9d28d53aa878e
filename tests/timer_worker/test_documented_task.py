"""The task of the README and the two examples of docs/tasks.md, run as they are printed there."""

import re
from collections.abc import Callable
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
    record = Sweep(app, tasks=(examples_of(page)["MEETINGS"],)).run(due_slots(app.store, clock()))
    assert record is not None
    assert record.counts == {"fresh": 1}
    known = app.store.get(account.account_id)
    assert known is not None
    assert known.task_state["meetings_today"]["meetings"] >= 0
