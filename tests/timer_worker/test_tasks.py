"""Background tasks: what they may see, what they store, and that a failure affects only its own task."""

import pkgutil
import threading
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module

import pytest

import tasks
from localdev.tenant import SampleTenant
from shared import background
from shared.accounts import Account, Outcome, State
from shared.background.first_edition import AnyTask
from shared.background.planner import missing_scopes
from shared.clients.graph import Graph
from shared.services import Services
from shared.settings import documented
from shared.sweep_queue import due_slots
from tasks import TASKS
from tests.running_app import Clock
from tests.support import sign_in, stored
from timer_worker.slot_run import GRACE
from timer_worker.sweep import Sweep
from timer_worker.task import Task

ADA, BEN = "ada@contoso.example", "ben@contoso.example"
READ = ("User.Read",)


@pytest.fixture
def app(make_services: Callable[..., Services]) -> Services:
    """The app's parts, with a clock that tests move."""
    return make_services(clock=Clock())


def sweep(app: Services, *tasks: AnyTask, grace: timedelta = GRACE) -> dict[str, int]:
    """Moves the clock until everybody is away, and sweeps."""
    assert isinstance(app.now, Clock)
    app.now.move(hours=2)
    record = Sweep(app, tasks=tasks, grace=grace).run(due_slots(app.store, app.now()))
    return record.counts if record else {}


def test_profile_task_keeps_when_the_profile_last_changed(app: Services, sample_tenant: SampleTenant) -> None:
    """The task stores a digest and a time, and nothing of the profile itself."""
    account = sign_in(app)
    sweep(app, *TASKS)
    first = stored(app, account).task_state["profile_changes"]
    sweep(app, *TASKS)
    assert stored(app, account).task_state["profile_changes"] == first
    sample_tenant.change_person(ADA, profile={"jobTitle": "Director"})
    sweep(app, *TASKS)
    later = stored(app, account).task_state["profile_changes"]
    assert later["changed_at"] > first["changed_at"]
    assert "Director" not in str(later)


def test_every_task_that_is_defined_runs() -> None:
    """A task that is left out of TASKS would be a silent break."""
    modules = [import_module(f"tasks.{each.name}") for each in pkgutil.iter_modules(tasks.__path__)]
    defined = {each.name for module in modules for each in vars(module).values() if isinstance(each, background.Task)}
    assert defined == {task.name for task in TASKS}


def test_a_failing_task_is_recorded_and_retried_and_stops_nobody(app: Services) -> None:
    """Other people's tasks run, this person's token is saved, and the task runs again at the next turn."""
    ada, ben = sign_in(app, ADA), sign_in(app, BEN)
    broken = [True]

    def work(account: Account, graph: Graph) -> None:
        name = graph.me()["givenName"]
        if name == "Ada" and broken[0]:
            raise KeyError(name)
        account.task_state["done"] = True

    task = Task("work", work, READ)
    assert sweep(app, task) == {"fresh": 1, "task_failed": 1}
    failed = stored(app, ada)
    assert failed.state is State.ACTIVE
    assert failed.failure is not None
    assert failed.failure.code == "work: KeyError"
    assert failed.recent[0].outcome is Outcome.TASK_FAILED
    assert failed.cache_version == ada.cache_version + 1
    assert stored(app, ben).task_state == {"work": {"done": True}}
    assert sweep(app, task) == {"fresh": 1, "task_failed": 1}
    again = stored(app, ada).failure
    assert again is not None
    assert (again.count, again.first_at) == (2, failed.failure.first_at)
    broken[0] = False
    assert sweep(app, task) == {"fresh": 2}
    assert stored(app, ada).failure is None


def test_a_task_sees_its_own_state_and_no_token_cache(app: Services) -> None:
    """A task does not see another task's state."""
    account = sign_in(app)
    seen: list[tuple[str, dict[str, object], bytes]] = []

    def keeper(name: str) -> Task:
        def work(account: Account, graph: Graph) -> None:
            seen.append((name, dict(account.task_state), account.sealed_cache))
            account.task_state["by"] = name

        return Task(name, work, READ)

    for _ in range(2):
        sweep(app, keeper("one"), keeper("two"))
    assert seen == [("one", {}, b""), ("two", {}, b""), ("one", {"by": "one"}, b""), ("two", {"by": "two"}, b"")]
    assert stored(app, account).task_state == {"one": {"by": "one"}, "two": {"by": "two"}}


def test_a_task_runs_only_for_people_who_granted_its_scopes(app: Services) -> None:
    """A task with a new scope waits for the person's next sign-in, and nothing fails."""
    sign_in(app)
    ran: list[str] = []

    def work(account: Account, graph: Graph) -> None:
        ran.append(account.account_id)

    assert sweep(app, Task("calendar", work, ("User.Read", "Calendars.Read"))) == {"fresh": 1}
    assert ran == []


def test_a_task_that_does_not_come_back_is_left_behind(app: Services) -> None:
    """The sweep ends. The person stays active and the failure is recorded."""
    account = sign_in(app)
    release = threading.Event()

    def wait(account: Account, graph: Graph) -> None:
        release.wait(30)

    try:
        stuck = Task("stuck", wait, READ, timedelta(milliseconds=50))
        assert sweep(app, stuck, grace=timedelta(milliseconds=100)) == {"task_failed": 1}
    finally:
        release.set()
    after = stored(app, account)
    assert after.state is State.ACTIVE
    assert after.failure is not None
    assert after.failure.code == "stuck: timed_out"


def test_graph_calls_end_with_the_task_s_time_limit(app: Services, sample_tenant: SampleTenant) -> None:
    """A Graph that hangs costs the time limit, not the client's own time-outs."""
    account = sign_in(app)
    sample_tenant.add_fault("graph", "hang")

    def look(account: Account, graph: Graph) -> None:
        graph.me()

    assert sweep(app, Task("slow", look, READ, timedelta(milliseconds=200))) == {"task_failed": 1}
    failure = stored(app, account).failure
    assert failure is not None
    assert failure.code == "slow: graph_timeout"


def test_too_much_state_is_a_failed_task_and_the_row_stays_whole(app: Services) -> None:
    """All tasks of a person may store 32 KiB together."""
    account = sign_in(app)

    def hoard(account: Account, graph: Graph) -> None:
        account.task_state["all"] = "x" * 40_000

    assert sweep(app, Task("hoard", hoard, READ)) == {"task_failed": 1}
    assert stored(app, account).task_state == {}


def test_continuous_access_challenge_in_a_task_is_answered_once(app: Services, sample_tenant: SampleTenant) -> None:
    """A 401 with claims forces a refresh with these claims, and the call is sent again with the new token."""
    sample_tenant.change_settings(access_token_lifetime=20_000)
    account = sign_in(app)
    sample_tenant.change_person(ADA, state="continuous_access")
    assert sweep(app, *TASKS) == {"cached": 1}
    after = stored(app, account)
    assert after.task_state["profile_changes"]["changed_at"]
    assert after.cache_version > account.cache_version
    assert len(after.recent) == 1


def test_continuous_access_reveals_a_revocation_that_a_cached_token_hid(
    app: Services, sample_tenant: SampleTenant
) -> None:
    """The forced refresh is refused, and that answer decides."""
    sample_tenant.change_settings(access_token_lifetime=20_000)
    account = sign_in(app)
    sample_tenant.change_person(ADA, state="revoked", continuous_access=True)
    assert sweep(app, *TASKS) == {"sign_in_required": 1}
    after = stored(app, account)
    assert after.state is State.NEEDS_SIGN_IN
    assert [each.outcome for each in after.recent] == [Outcome.SIGN_IN_REQUIRED]


def test_a_task_whose_scope_nobody_is_asked_for_is_an_error_in_the_log(
    make_services: Callable[..., Services], caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise it would be skipped for everybody, without a reason."""
    app = make_services(SCOPES="User.Read")
    sign_in(app)
    mail = Task("mail", lambda _account, _graph: None, scopes=("User.Read", "Mail.Read"))
    Sweep(app, tasks=(mail,)).run(app.store.slots())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "task mail never runs: add Mail.Read to SCOPES"
    ]


def test_the_apps_own_tasks_need_only_scopes_that_are_asked_for_by_default() -> None:
    """A deployment with the default SCOPES runs all of them."""
    default = next(value for name, value, _ in documented() if name == "SCOPES")
    on = [task for task in TASKS if task.default == "on"]
    assert [scope for task in on for scope in missing_scopes(task.scopes, default.split())] == []
