"""At most once: a process that is killed before and after each step of a run, and what a retry does then.

A kill is an exception that nothing in the app catches, raised at one step. The next sweep is a new process.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import Account
from shared.background import TaskContext, every, task
from shared.background.tasks import Task
from shared.errors import GraphError, StoreUnavailable
from shared.services import Services
from shared.store.markers import Marker, MemoryMarkers
from shared.sweep_queue import due_slots
from tests.running_app import Clock
from tests.support import MakeServices, sign_in, stored
from timer_worker.saving import save_turns
from timer_worker.sweep import Sweep
from timer_worker.turn import acquire_token, run_task

ADA = "ada@contoso.example"


class Killed(BaseException):
    """The process ended."""


@dataclass
class FailingMarkers(MemoryMarkers):
    """Markers where a step fails as told.

    Attributes:
        at: the step, such as "before insert".
        error: what is raised there.
    """

    at: str = ""
    error: BaseException = field(default_factory=Killed)

    def __post_init__(self) -> None:
        super().__init__()

    def insert(self, marker: Marker) -> Marker:
        """See MarkerStore."""
        kept: Marker = self._around("insert", super().insert, marker)
        return kept

    def finish(self, marker: Marker) -> None:
        """See MarkerStore."""
        self._around("finish", super().finish, marker)

    def remove(self, marker: Marker) -> None:
        """See MarkerStore."""
        self._around("remove", super().remove, marker)

    def _around(self, step: str, act: Callable[[Marker], Any], marker: Marker) -> Any:
        if self.at == f"before {step}":
            raise self.error
        result = act(marker)
        if self.at == f"after {step}":
            raise self.error
        return result


def mail(name: str) -> dict[str, object]:
    """A message to Ada."""
    return {"message": {"subject": name, "toRecipients": [{"emailAddress": {"address": ADA}}]}}


@task(
    title="Digest",
    purpose="Mails you.",
    scopes={"Mail.Send": "to mail you"},
    schedule=every(hours=1),
    default="on",
)
def digest(ctx: TaskContext) -> None:
    """Mails once per occurrence."""
    ctx.graph.post("/me/sendMail", mail("digest"), once="mail")
    ctx.record("Mailed you")


@pytest.fixture
def clock() -> Clock:
    """The clock that tests move."""
    return Clock()


@pytest.fixture
def markers() -> FailingMarkers:
    """Markers in memory, which a killed process leaves behind."""
    return FailingMarkers()


@pytest.fixture
def app(make_services: MakeServices, clock: Clock, markers: FailingMarkers) -> Services:
    """The app's parts, with the digest alone."""
    scopes = "User.Read Mail.Send"
    return make_services(clock=clock, wait=clock.wait, tasks=(digest,), markers=markers, SCOPES=scopes)


def move_until_due(app: Services, clock: Clock, account: Account) -> None:
    """Moves the clock to the task's next time, far from the one after it."""
    next_at = stored(app, account).earliest_task
    assert next_at is not None
    clock.ahead += next_at - clock() + timedelta(seconds=1)


def sent(tenant: SampleTenant) -> int:
    """How many mails Ada sent."""
    return len(tenant.data.mail(ADA)["sent"])


def run(app: Services, account: Account, work: Task = digest, *, saves: bool = True) -> None:
    """A turn of one person, step by step, as a sweep takes it."""
    turn = acquire_token(stored(app, account), app, app.planner)
    assert turn is not None
    (saved,) = save_turns([turn], app)
    assert isinstance(saved, Account)
    assert app.planner.due(saved, app.now(), kept=False) == [work]
    done = run_task(replace(turn, before=saved, after=saved), work, app.planner, app)
    if saves:
        save_turns([done], app)


def sweep(app: Services) -> dict[str, int]:
    """Sweeps whoever is due now."""
    record = Sweep(app).run(due_slots(app.store, app.now()))
    return record.counts if record else {}


KILLS = [  # where, mails after the kill, mails after the retry, and why no retry sends it
    ("before insert", 0, 1, ""),
    ("after insert", 0, 0, "may_have_happened"),
    ("before finish", 1, 1, "may_have_happened"),
    ("after finish", 1, 1, ""),
]


@pytest.mark.parametrize(("at", "mails", "finally_", "reason"), KILLS, ids=[each[0] for each in KILLS])
def test_no_kill_sends_a_mail_twice(
    app: Services,
    clock: Clock,
    markers: FailingMarkers,
    sample_tenant: SampleTenant,
    at: str,
    mails: int,
    finally_: int,
    reason: str,
) -> None:
    """A marker without an outcome says why there may be none."""
    ada = sign_in(app)
    move_until_due(app, clock, ada)
    markers.at = at
    with pytest.raises(Killed):
        run(app, ada)
    assert sent(sample_tenant) == mails
    markers.at = ""
    assert sweep(app) == ({"task_failed": 1} if reason else {"fresh": 1})
    assert sent(sample_tenant) == finally_
    known = stored(app, ada).tasks["digest"]
    assert (known.failure.reason if known.failure else "") == reason
    assert known.next_at is not None
    assert known.next_at > clock() + timedelta(seconds=90), "nobody tries again what may have happened"


def test_a_kill_after_the_effect_and_before_the_save_sends_no_second_mail(
    app: Services, clock: Clock, sample_tenant: SampleTenant
) -> None:
    """The retry gets the answer that the marker kept."""
    ada = sign_in(app)
    move_until_due(app, clock, ada)
    run(app, ada, saves=False)
    assert stored(app, ada).tasks["digest"].last_at is None
    assert sweep(app) == {"fresh": 1}
    assert sent(sample_tenant) == 1
    assert stored(app, ada).tasks["digest"].last_record == "Mailed you"


def test_without_once_a_kill_before_the_save_sends_a_second_mail(
    make_services: MakeServices, clock: Clock, sample_tenant: SampleTenant
) -> None:
    """That is what `once=` is for."""

    @task(title="T", purpose="P.", scopes={"Mail.Send": ""}, schedule=every(hours=1), default="on")
    def plain(ctx: TaskContext) -> None:
        ctx.graph.post("/me/sendMail", mail("plain"))

    app = make_services(clock=clock, wait=clock.wait, tasks=(plain,), SCOPES="User.Read Mail.Send")
    ada = sign_in(app)
    move_until_due(app, clock, ada)
    run(app, ada, plain, saves=False)
    assert sent(sample_tenant) == 1
    assert sweep(app) == {"fresh": 1}
    assert sent(sample_tenant) == 2


def test_each_occurrence_has_a_mail_of_its_own(app: Services, clock: Clock, sample_tenant: SampleTenant) -> None:
    """Once is once per occurrence."""
    ada = sign_in(app)
    for _ in range(2):
        move_until_due(app, clock, ada)
        assert sweep(app) == {"fresh": 1}
    assert sent(sample_tenant) == 2


@pytest.mark.parametrize("status", [400, 403, 429])
def test_what_graph_refused_is_sent_by_the_next_try(
    app: Services, clock: Clock, sample_tenant: SampleTenant, status: int
) -> None:
    """It did nothing: the marker is removed."""
    ada = sign_in(app)
    move_until_due(app, clock, ada)
    sample_tenant.add_fault("graph", "status", status=status, retry_after=60, times=1)
    assert sweep(app) == {"task_failed": 1}
    clock.move(minutes=2)
    assert sweep(app) == {"fresh": 1}
    assert sent(sample_tenant) == 1


@pytest.mark.parametrize("kind", ["reset_midway", "hang_midway", "status"])
def test_what_may_have_been_sent_is_not_sent_again(
    app: Services, clock: Clock, sample_tenant: SampleTenant, kind: str
) -> None:
    """No answer, or one of a server in trouble: nobody knows."""
    ada = sign_in(app)
    move_until_due(app, clock, ada)
    where = {"status": {"status": 502}}.get(kind, {})
    sample_tenant.add_fault("graph", kind, times=1, **where)
    first = sweep(app)
    clock.move(minutes=2)
    sweep(app)
    assert sent(sample_tenant) <= 1
    failure = stored(app, ada).tasks["digest"].failure
    assert first == {"fresh": 1} or (failure is not None and failure.reason == "may_have_happened")


def test_a_marker_that_cannot_be_written_sends_nothing(
    app: Services, clock: Clock, markers: FailingMarkers, sample_tenant: SampleTenant
) -> None:
    """The next try does."""
    ada = sign_in(app)
    move_until_due(app, clock, ada)
    markers.at, markers.error = "before insert", StoreUnavailable("write marker", 503)
    assert sweep(app) == {"task_failed": 1}
    assert sent(sample_tenant) == 0
    markers.at = ""
    clock.move(minutes=2)
    assert sweep(app) == {"fresh": 1}
    assert sent(sample_tenant) == 1
    assert stored(app, ada).tasks["digest"].failure is None


def test_an_outcome_that_cannot_be_kept_fails_nothing(
    app: Services, clock: Clock, markers: FailingMarkers, sample_tenant: SampleTenant
) -> None:
    """The mail was sent and the run is over."""
    ada = sign_in(app)
    move_until_due(app, clock, ada)
    markers.at, markers.error = "before finish", StoreUnavailable("finish marker", 503)
    assert sweep(app) == {"fresh": 1}
    assert sent(sample_tenant) == 1
    assert stored(app, ada).tasks["digest"].last_at is not None


def test_a_retry_of_the_same_occurrence_gets_the_id_of_what_was_made(
    make_services: MakeServices, clock: Clock, sample_tenant: SampleTenant
) -> None:
    """The first try made an event and failed later."""
    ids: list[str] = []

    @task(title="T", purpose="P.", scopes={"Calendars.ReadWrite": ""}, schedule=every(hours=1), default="on")
    def book(ctx: TaskContext) -> None:
        at = {"dateTime": "2026-05-04T10:00:00", "timeZone": "UTC"}
        made = ctx.graph.post("/me/events", {"subject": "s", "start": at, "end": at}, once="event")
        ids.append(made["id"])
        if len(ids) == 1:
            raise GraphError(503, "later")

    app = make_services(clock=clock, wait=clock.wait, tasks=(book,), SCOPES="User.Read Calendars.ReadWrite")
    ada = sign_in(app)
    move_until_due(app, clock, ada)
    assert sweep(app) == {"task_failed": 1}
    clock.move(minutes=2)
    assert sweep(app) == {"fresh": 1}
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_once_without_a_schedule_is_refused(
    make_services: MakeServices, clock: Clock, sample_tenant: SampleTenant
) -> None:
    """A retry would have another occurrence; nothing is sent."""

    @task(title="T", purpose="P.", scopes={"Mail.Send": ""}, default="on")
    def loose(ctx: TaskContext) -> None:
        ctx.graph.post("/me/sendMail", mail("loose"), once="mail")

    app = make_services(clock=clock, wait=clock.wait, tasks=(loose,), SCOPES="User.Read Mail.Send")
    ada = sign_in(app)
    clock.move(hours=1)
    assert sweep(app) == {"task_failed": 1}
    failure = stored(app, ada).tasks["loose"].failure
    assert failure is not None
    assert failure.reason == "ValueError"
    assert sent(sample_tenant) == 0
