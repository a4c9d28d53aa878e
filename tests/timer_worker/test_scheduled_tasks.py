"""Tasks with a schedule in a sweep: who is due, what is stored, and what a sign-in or a sign-out meanwhile leaves."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import Account, Choice, TaskStatus
from shared.background import TaskContext, every, task
from shared.background.tasks import Task
from shared.services import Services
from shared.sweep_queue import due_slots
from tests.running_app import Clock
from tests.support import MakeServices, sign_in, stored, wait_until
from timer_worker.sweep import Sweep

ADA, BEN = "ada@contoso.example", "ben@contoso.example"
SOON = every(minutes=1)


def a_task(run: Callable[[TaskContext], None], *, name: str = "work", default: str = "on", **changes: object) -> Task:
    """A task that is on for everybody and runs every minute."""
    values = {"title": "Work", "purpose": "Works.", "scopes": {"User.Read": "to work"}, "schedule": SOON} | changes
    run.__name__ = name
    return task(default=default, **values)(run)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    """The clock that tests move."""
    return Clock()


def app_with(make_services: MakeServices, clock: Clock, *tasks: Task, **changes: object) -> Services:
    """The app's parts, with these tasks."""
    return make_services(clock=clock, wait=clock.wait, tasks=tasks, **changes)


def sweep(app: Services) -> dict[str, int]:
    """Sweeps whoever is due now."""
    record = Sweep(app).run(due_slots(app.store, app.now()))
    return record.counts if record else {}


def move_until_due(app: Services, clock: Clock, account: Account) -> None:
    """Moves the clock to the first of the person's tasks, far from the time after it."""
    next_at = stored(app, account).earliest_task
    assert next_at is not None
    clock.ahead += next_at - clock() + timedelta(seconds=1)


def status(app: Services, account: Account, name: str = "work") -> TaskStatus:
    """What is stored about the task."""
    return stored(app, account).tasks[name]


def test_a_scheduled_task_runs_for_a_person_who_is_here(make_services: MakeServices, clock: Clock) -> None:
    """Two minutes after the sign-in they are still at their browser, and the task ran."""

    def work(ctx: TaskContext) -> None:
        ctx.state["runs"] = ctx.state.get("runs", 0) + 1
        ctx.record(f"Ran for {ctx.graph.me()['givenName']}")

    app = app_with(make_services, clock, a_task(work))
    ada = sign_in(app)
    for runs in (1, 2):
        clock.move(minutes=1, seconds=1)
        assert sum(sweep(app).values()) == 1
        assert stored(app, ada).task_state == {"work": {"runs": runs}}
    known = status(app, ada)
    assert known.last_record == "Ran for Ada"
    assert known.next_at is not None
    assert clock() < known.next_at <= clock() + timedelta(minutes=1)


def test_a_task_sees_its_occurrence_its_settings_and_no_token_cache(make_services: MakeServices, clock: Clock) -> None:
    """The occurrence is the time that the schedule names, not that of the sweep."""
    seen: list[TaskContext] = []

    def work(ctx: TaskContext) -> None:
        seen.append(ctx)

    app = app_with(make_services, clock, a_task(work, settings=("FOOTER",)))
    ada = sign_in(app)
    planned = stored(app, ada).tasks["work"]
    clock.move(seconds=61)
    sweep(app)
    (ctx,) = seen
    assert (ctx.account.account_id, ctx.account.sealed_cache) == (ada.account_id, b"")
    assert planned.occurrence is not None
    assert ctx.occurrence in (planned.occurrence, planned.occurrence + timedelta(minutes=1))
    assert ctx.today.isoformat() == planned.date
    assert ctx.settings == {"FOOTER": ""}


def test_a_task_that_is_off_or_waits_makes_nobody_due(make_services: MakeServices, clock: Clock) -> None:
    """Whoever turns it on is due for it."""
    ran: list[str] = []
    chosen = a_task(lambda _: ran.append("chosen"), name="chosen", default="off")
    waiting = a_task(lambda _: ran.append("waiting"), name="waiting", scopes={"Mail.Read": "to read"})
    app = app_with(make_services, clock, chosen, waiting)
    ada = sign_in(app)
    assert status(app, ada, "waiting").waiting == "consent"
    clock.move(minutes=3)
    assert sweep(app) == {}
    app.store.wake(app.planner.choose(stored(app, ada), app.tasks[0], Choice.ON, clock()))
    clock.move(minutes=1, seconds=1)
    sweep(app)
    assert ran == ["chosen"]


def test_a_failing_task_keeps_its_state_its_reason_and_is_tried_again(
    make_services: MakeServices, clock: Clock
) -> None:
    """What it had stored before is kept, because what it did then is done. Other tasks run."""
    other: list[str] = []

    def work(ctx: TaskContext) -> None:
        ctx.state["half"] = True
        raise KeyError("x")

    app = app_with(
        make_services,
        clock,
        a_task(work, schedule=every(hours=1)),
        a_task(lambda _: other.append("ran"), name="other", schedule=every(hours=1)),
    )
    ada = sign_in(app)
    move_until_due(app, clock, ada)
    assert sweep(app) == {"task_failed": 1}
    known = status(app, ada)
    assert known.failure is not None
    assert (known.failure.reason, known.failure.count, known.tries) == ("KeyError", 1, 1)
    assert known.next_at is not None
    assert known.next_at <= clock() + timedelta(minutes=1)
    assert stored(app, ada).task_state == {"work": {"half": True}}
    assert other == ["ran"]


@pytest.mark.parametrize("state", [{"x": {1}}, {"x": "y" * 33 * 1024}])
def test_state_that_cannot_be_kept_costs_neither_the_token_nor_the_last_state(
    make_services: MakeServices, clock: Clock, state: dict[str, object]
) -> None:
    """It was put into a value that is there already, where no assignment sees it."""

    def work(ctx: TaskContext) -> None:
        if "all" in ctx.state:
            ctx.state["all"].update(state)
        else:
            ctx.state["all"] = {}

    app = app_with(make_services, clock, a_task(work))
    ada = sign_in(app)
    counts = []
    for _ in range(2):
        clock.move(seconds=61)
        counts.append(sweep(app))
    assert counts == [{"fresh": 1}, {"task_failed": 1}]
    after = stored(app, ada)
    assert after.task_state == {"work": {"all": {}}}
    assert after.cache_version > ada.cache_version + 1


def test_a_sign_in_during_a_task_keeps_its_token_and_the_task_s_result(
    make_services: MakeServices, clock: Clock
) -> None:
    """The result is laid on top of the newer row: nothing runs twice, and nobody's sign-in is lost."""

    def work(ctx: TaskContext) -> None:
        newer.append(sign_in(app))
        ctx.state["done"] = True

    newer: list[Account] = []
    app = app_with(make_services, clock, a_task(work))
    ada = sign_in(app)
    clock.move(seconds=61)
    assert sum(sweep(app).values()) == 1
    after = stored(app, ada)
    assert after.task_state == {"work": {"done": True}}
    assert (after.cache_version, after.sealed_cache) == (newer[0].cache_version, newer[0].sealed_cache)
    assert after.tasks["work"].last_at is not None


def test_a_sign_out_during_a_task_leaves_no_row(make_services: MakeServices, clock: Clock) -> None:
    """Nothing that the task did brings it back."""
    app = app_with(make_services, clock, a_task(lambda ctx: assert_deleted(app, ctx.account)))
    ada = sign_in(app)
    clock.move(seconds=61)
    assert sweep(app) == {"conflict": 1}
    assert app.store.get(ada.account_id) is None


def assert_deleted(app: Services, account: Account) -> None:
    """Deletes the row."""
    assert app.store.delete(account.account_id)


def test_who_left_and_came_back_during_a_task_has_a_row_of_their_own(make_services: MakeServices, clock: Clock) -> None:
    """The old enrolment's result is not theirs."""

    def work(ctx: TaskContext) -> None:
        app.store.delete(ctx.account.account_id)
        sign_in(app)
        ctx.state["done"] = True

    app = app_with(make_services, clock, a_task(work))
    ada = sign_in(app)
    clock.move(seconds=61)
    assert sweep(app) == {"conflict": 1}
    after = stored(app, ada)
    assert after.enrolment_id != ada.enrolment_id
    assert after.task_state == {}


def test_throttling_that_is_short_is_waited_for_and_a_longer_one_is_the_next_try(
    make_services: MakeServices, clock: Clock, sample_tenant: SampleTenant
) -> None:
    """Graph is never asked before its time, and another person's task is not held up."""

    def work(ctx: TaskContext) -> None:
        ctx.graph.me()

    app = app_with(make_services, clock, a_task(work, schedule=every(hours=1)))
    ada, ben = sign_in(app, ADA), sign_in(app, BEN)
    sample_tenant.add_fault("graph", "throttle", retry_after=600, username=ADA)
    clock.move(hours=1)
    assert sweep(app) == {"fresh": 1, "task_failed": 1}
    known = status(app, ada)
    assert known.failure is not None
    assert known.failure.reason == "graph_429"
    assert known.next_at is not None
    assert known.next_at > clock() + timedelta(seconds=590)
    assert status(app, ben).last_at is not None
    sample_tenant.clear_faults()
    sample_tenant.add_fault("graph", "throttle", retry_after=5, times=1)
    clock.move(hours=1)
    assert sweep(app) == {"fresh": 2}


def test_a_task_that_hangs_again_and_again_is_no_longer_started_and_costs_nobody_their_token(
    make_services: MakeServices, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """With four threads for tasks one may hang. The others' tasks run, and it is started again when it came back."""
    release, begun, other = threading.Event(), list[str](), list[str]()

    def hang(ctx: TaskContext) -> None:
        begun.append(ctx.account.username)
        release.wait(60)

    stuck = a_task(hang, name="stuck", time_limit=timedelta(milliseconds=50))
    app = app_with(
        make_services, clock, stuck, a_task(lambda _: other.append("ran"), name="other"), SWEEP_CONCURRENCY="4"
    )
    ada, ben = sign_in(app, ADA), sign_in(app, BEN)

    def turn() -> dict[str, int]:
        clock.move(minutes=20)
        record = Sweep(app, grace=timedelta(milliseconds=50)).run(due_slots(app.store, app.now()))
        return record.counts if record else {}

    try:
        turn()
        for _ in range(2):
            assert turn() == {"task_failed": 2}
        assert len(begun) <= 2
        reasons = [status(app, each, "stuck").failure for each in (ada, ben)]
        assert [each.reason for each in reasons if each] == ["hangs", "hangs"]
        assert "task stuck is not started: " in caplog.text
        assert len(other) >= 4
        assert all(stored(app, each).cache_version >= each.cache_version + 3 for each in (ada, ben))
    finally:
        release.set()
    wait_until(lambda: app.task_threads.may_start("stuck"), "the runs that hung came back")
    assert turn() == {"fresh": 2}
