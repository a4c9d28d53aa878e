"""What is wrong with tasks is said when the app starts, all at once."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.background import Task, TaskContext, daily, every, task
from shared.background.checks import LONGEST_LIMIT, problems
from shared.background.schedules import Schedule
from shared.errors import SettingsError
from shared.settings import load
from tests.support import ROOT, Environment


def a_task(run: Callable[[TaskContext], None] | None = None, **changes: Any) -> Task:
    """A task with nothing wrong but these changes."""

    def work(ctx: TaskContext) -> None:
        pass

    return task(title="Work", purpose="Works.", **{"scopes": {"User.Read": "to work"}, **changes})(run or work)


def test_a_good_task_has_no_problem() -> None:
    """Nor have two with different names."""
    assert problems([a_task(schedule=daily("07:00", days="mon-fri"), settings=("FOOTER",))]) == []


async def asleep(ctx: TaskContext) -> None:
    """A task that would never run."""


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (a_task(asleep), "asyncio.run"),  # type: ignore[arg-type]  # that is the mistake
        (a_task(lambda _: None), "a name"),
        (a_task(time_limit=LONGEST_LIMIT + timedelta(seconds=1)), "functionTimeout"),
        (a_task(time_limit=timedelta(0)), "time_limit"),
        (a_task(scopes={"Mail Read": ""}), "'Mail Read'"),
        (a_task(scopes={"https://graph.microsoft.com/.default": ""}), "permission"),
        (a_task(settings=("footer",)), "'footer'"),
        (a_task(default="yes"), "default"),
    ],
)
def test_each_mistake_is_named(odd: Task, said: str) -> None:
    """With the task's name, in one line."""
    (line,) = problems([odd])
    assert line.startswith(f"task {odd.name}: ")
    assert said in line


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (daily("25:00"), "25:00"),
        (daily("7:00"), "7:00"),
        (daily("07:00", days="mon-xyz"), "mon-xyz"),
        (daily("07:00", days=""), "days"),
        (daily("07:00", spread=-1), "spread"),
        (daily("07:00", zone="Mars/Olympus"), "Mars/Olympus"),
        (daily("07:00", zone="../etc/passwd"), "zone"),
        (every(minutes=0.5), "1 minute"),
        (every(), "1 minute"),
        (every(days=40), "31 days"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_told_at_the_start(schedule: Schedule, said: str) -> None:
    """Writing it raises nothing; the check of all tasks names it."""
    (line,) = problems([a_task(schedule=schedule)])
    assert said in line


def test_two_tasks_with_one_name_are_refused() -> None:
    """What is stored about them would be mixed up."""
    assert problems([a_task(), a_task()]) == ["task work: 2 tasks have this name"]


def test_problems_of_tasks_and_settings_come_in_one_error(environment: Environment) -> None:
    """Whoever starts the app sees all of them at once."""
    found = problems([a_task(schedule=daily("25:00")), a_task()])
    with pytest.raises(SettingsError) as caught:
        load(environment | {"SWEEP_EVERY": "soon", "TIME_ZONE": "Mars/Olympus"}, problems=found)
    text = str(caught.value)
    assert all(each in text for each in ("25:00", "2 tasks have this name", "SWEEP_EVERY", "TIME_ZONE"))


def test_a_task_s_settings_are_read_with_the_app_s(environment: Environment) -> None:
    """One that is not set is an empty text; a Key Vault reference that did not resolve is refused."""
    settings = load(environment | {"FOOTER": " Bye "}, of_tasks=("FOOTER", "HEADER"))
    assert settings.of_tasks == {"FOOTER": "Bye", "HEADER": ""}
    with pytest.raises(SettingsError, match="FOOTER: a Key Vault reference"):
        load(environment | {"FOOTER": "@Microsoft.KeyVault(SecretUri=x)"}, of_tasks=("FOOTER",))


def test_the_longest_limit_is_the_hosts() -> None:
    """host.json ends a function after that time."""
    hours, minutes, seconds = map(
        int, json.loads((ROOT / "host.json").read_text("utf-8"))["functionTimeout"].split(":")
    )
    assert timedelta(hours=hours, minutes=minutes, seconds=seconds) == LONGEST_LIMIT
