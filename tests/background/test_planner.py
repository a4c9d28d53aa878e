"""Which tasks run for a person, and when: choices, permissions, missed runs, failures."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.accounts import Account, Choice, State, TaskStatus
from shared.accounts.lifecycle import Lifecycle
from shared.background import Task, daily, every
from shared.background.planner import Planner

NOW = datetime(2026, 5, 4, 10, 3, 7, tzinfo=UTC)  # a Monday
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LIFE = Lifecycle(every=HOUR, absent_after=timedelta(minutes=5), retention=timedelta(days=90), chance=lambda: 0.5)
ADA = Account(account_id="oid.tid", scopes=("User.Read",), last_activity=NOW - MINUTE, time_zone="Europe/Berlin")
SEVEN = daily("07:00", spread=0)


def a_task(**changes: Any) -> Task:
    """A task that is on for everybody."""
    values = {"name": "work", "schedule": SEVEN, "scopes": {"User.Read": ""}, "default": "on", **changes}
    return Task(run=lambda _: None, **values)


def planner(*tasks: Task) -> Planner:
    """A planner of these tasks."""
    return Planner(tasks, LIFE)


def status(account: Account) -> TaskStatus:
    """The status of the task `work`."""
    return account.tasks["work"]


def ran(plan: Planner, account: Account, now: datetime, *, failed: bool = False) -> Account:
    """The account after its task was due and ran."""
    (task,) = plan.due(account, now, kept=False)
    begun = plan.begin(task, account, now)
    if failed:
        return plan.fail(task, begun, account, now, reason="KeyError")
    return plan.succeed(task, begun, account, now, record="done")


def test_a_person_who_is_here_is_due_for_a_scheduled_task_all_the_same() -> None:
    """Keeping the token waits until they are away; the task does not."""
    after = planner(a_task(schedule=every(minutes=1))).plan(ADA, NOW)
    assert after.due_at == status(after).next_at
    assert after.due_at <= NOW + MINUTE
    assert planner().plan(ADA, NOW).due_at == LIFE.absent_from(ADA.last_activity)
    assert LIFE.note_presence(after, NOW).due_at == after.due_at


def test_a_task_is_off_until_it_is_chosen() -> None:
    """Unless its default is on; a choice wins over the default."""
    off = a_task(default="off")
    assert planner(off).plan(ADA, NOW).tasks == {}
    chosen = planner(off).choose(ADA, off, Choice.ON, NOW)
    assert status(chosen).next_at == datetime(2026, 5, 5, 5, tzinfo=UTC)
    for choice in (Choice.OFF, Choice.PAUSED):
        assert status(planner(off).choose(chosen, off, choice, NOW)).next_at is None
    on = a_task()
    assert status(planner(on).choose(ADA, on, Choice.OFF, NOW)).next_at is None


def test_a_task_without_a_permission_waits_and_says_so() -> None:
    """It gets a time when the permission was granted."""
    plan = planner(a_task(scopes={"Mail.Read": "to read"}))
    waiting = plan.plan(ADA, NOW)
    assert (status(waiting).waiting, status(waiting).next_at) == ("consent", None)
    granted = plan.plan(replace(waiting, scopes=("User.Read", "Mail.Read")), NOW)
    assert status(granted).waiting == ""
    assert status(granted).next_at is not None


@pytest.mark.parametrize(
    ("wanted", "granted", "waits"),
    [
        ("User.Read", "https://graph.microsoft.com/user.read", False),
        ("https://graph.microsoft.us/User.Read", "User.Read", False),
        ("User.Read", "api://x/User.Read", True),
        ("api://x/User.Read", "User.Read", True),
        ("api://x/User.Read", "api://x/user.read", False),
        ("api://x/User.Read", "api://y/User.Read", True),
        ("User.Read", "https://graph.microsoft.com.evil.example/User.Read", True),
    ],
)
def test_a_permission_belongs_to_its_resource(wanted: str, granted: str, *, waits: bool) -> None:
    """Another API's permission of the same name satisfies nothing."""
    after = planner(a_task(scopes={wanted: ""})).plan(replace(ADA, scopes=(granted,)), NOW)
    assert bool(status(after).waiting) == waits


def test_a_task_that_is_no_longer_there_makes_nobody_due() -> None:
    """What the person chose is kept, in case it comes back."""
    off = a_task(default="off")
    chosen = planner(off).choose(ADA, off, Choice.ON, NOW)
    later = planner().plan(chosen, NOW + timedelta(days=3))
    assert (status(later).choice, status(later).next_at) == (Choice.ON, None)
    assert later.due_at == LIFE.absent_from(ADA.last_activity)


def test_runs_that_were_missed_are_made_up_once() -> None:
    """After three days without a sweep the last one runs, and then the next is due."""
    plan = planner(a_task())
    late = NOW + timedelta(days=3)
    account = plan.plan(ADA, NOW)
    (task,) = plan.due(account, late, kept=False)
    begun = plan.begin(task, account, late)
    assert (begun.occurrence, begun.date) == (datetime(2026, 5, 7, 5, tzinfo=UTC), "2026-05-07")
    after = ran(plan, account, late)
    assert status(after).next_at == datetime(2026, 5, 8, 5, tzinfo=UTC)
    assert plan.due(after, late, kept=True) == []


def test_a_failed_run_is_tried_again_after_1_5_and_15_minutes() -> None:
    """Then it waits for the next occurrence. It is the same occurrence each time."""
    plan = planner(a_task())
    account, now, waits = plan.plan(ADA, NOW), datetime(2026, 5, 5, 5, tzinfo=UTC), []
    for _ in range(4):
        occurrence = status(account).occurrence
        account = ran(plan, account, now, failed=True)
        next_at = status(account).next_at
        assert next_at is not None
        waits.append(next_at - now)
        now = next_at
        assert occurrence == datetime(2026, 5, 5, 5, tzinfo=UTC)
    assert waits == [MINUTE, 5 * MINUTE, 15 * MINUTE, timedelta(days=1) - 21 * MINUTE]
    failure = status(account).failure
    assert failure is not None
    assert (failure.reason, failure.count) == ("KeyError", 4)
    assert failure.last_at - failure.first_at == 21 * MINUTE
    assert status(ran(plan, account, now)).failure is None


def test_another_try_never_passes_the_next_occurrence() -> None:
    """A task that runs every two minutes fails; the next occurrence comes before the second wait is over."""
    plan = planner(a_task(schedule=every(minutes=2)))
    account, now = plan.plan(ADA, NOW), NOW
    for _ in range(6):
        next_at = status(account).next_at
        assert next_at is not None
        assert next_at - now <= 2 * MINUTE
        now = next_at
        account = ran(plan, account, now, failed=True)


def test_a_service_that_asks_for_time_gets_it() -> None:
    """The next try is not before, even if an occurrence is."""
    task = a_task(schedule=every(minutes=15))
    plan = planner(task)
    account = plan.plan(ADA, NOW)
    failed = plan.fail(task, plan.begin(task, account, NOW), account, NOW, reason="graph_429", after=3000)
    assert status(failed).next_at == NOW + timedelta(seconds=3000)


def test_a_new_time_zone_never_repeats_a_local_date() -> None:
    """Who flies from Auckland to Honolulu after the digest of Tuesday does not get it again there."""
    plan = planner(a_task())
    there = plan.plan(replace(ADA, time_zone="Pacific/Auckland"), NOW)
    tuesday = status(there).next_at
    assert tuesday is not None
    done = ran(plan, there, tuesday)
    moved = plan.plan(
        replace(done, time_zone="Pacific/Honolulu", tasks={"work": replace(status(done), next_at=None)}), tuesday
    )
    assert status(done).done == "2026-05-05"
    assert status(moved).date == "2026-05-06"


def test_turning_a_task_off_and_on_before_it_ran_loses_nothing() -> None:
    """Today's run is still due."""
    task = a_task()
    plan = planner(task)
    early = datetime(2026, 5, 5, 4, tzinfo=UTC)
    account = plan.plan(ADA, early)
    back = plan.choose(plan.choose(account, task, Choice.OFF, early), task, Choice.ON, early)
    assert status(back).next_at == status(account).next_at == datetime(2026, 5, 5, 5, tzinfo=UTC)


@pytest.mark.parametrize("state", [State.NEEDS_SIGN_IN, State.UNREADABLE])
def test_planning_makes_nobody_due_who_must_sign_in(state: State) -> None:
    """Their due time is the retention's or the notification's."""
    account = replace(ADA, state=state, due_at=NOW + timedelta(days=90))
    assert planner(a_task()).plan(account, NOW).due_at == account.due_at


def test_a_task_without_a_schedule_runs_when_the_token_is_kept() -> None:
    """Not in a turn that another task's time alone has caused."""
    plan = planner(a_task(schedule=None), a_task(name="other", schedule=every(minutes=1)))
    account = plan.plan(ADA, NOW)
    later = NOW + MINUTE
    assert [task.name for task in plan.due(account, later, kept=LIFE.is_kept(account, later))] == ["other"]
    away = NOW + 10 * MINUTE
    assert [task.name for task in plan.due(account, away, kept=LIFE.is_kept(account, away))] == ["work", "other"]
