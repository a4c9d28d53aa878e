"""Refresh tokens that may be used once: nobody redeems after a lease has ended, and saving new tokens is retried."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import Account, Lease, Person, State
from shared.background.first_edition import AnyTask
from shared.errors import Conflict, StoreError
from shared.identity.rate_limit import RateLimit
from shared.services import Services
from shared.store import AccountStore, Slot
from shared.sweep_queue import due_slots
from tasks import TASKS
from tests.recording_store import record_calls
from tests.reliability.crowd import enrol
from tests.reliability.storage_proxy import StorageProxy
from tests.reliability.storage_rows import BATCH, BUSY, SAVE
from tests.running_app import Clock
from tests.support import wait_until
from timer_worker.progress import Progress
from timer_worker.slot_run import SlotRun
from timer_worker.sweep import Sweep
from timer_worker.task import Task
from timer_worker.turn import may_redeem

ATTEMPTS_OF_THE_SDK = 4


@pytest.fixture
def clock() -> Clock:
    """The app's clock."""
    return Clock()


@pytest.fixture
def app(
    make_services: Callable[..., Services], proxy: StorageProxy, sample_tenant: SampleTenant, clock: Clock
) -> Services:
    """The app's parts, with a tenant that revokes a family when one of its tokens comes twice."""
    sample_tenant.change_settings(rotation="strict")
    strict = {"REFRESH_TOKEN_ROTATION": "strict", "TABLES_CONNECTION_STRING": proxy.connection_string}
    rate_limit = RateLimit(clock=lambda: clock().timestamp())
    return make_services(clock=clock, wait=clock.wait, tables=proxy.client(), rate_limit=rate_limit, **strict)


def swept(app: Services, clock: Clock, tasks: tuple[AnyTask, ...] = ()) -> dict[str, int]:
    """Runs one sweep, in which waiting moves the clock."""
    record = Sweep(app, tasks=tasks).run(due_slots(app.store, clock()))
    assert record
    assert record.stopped == ""
    return record.counts


def known(app: Services, account: Account) -> Account:
    """The account as it is stored."""
    found = app.store.get(account.account_id)
    assert found
    return found


def test_a_storage_that_fails_for_a_while_costs_a_sweep_no_family(
    app: Services, proxy: StorageProxy, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The redeemed tokens are saved at the third attempt, and the next sweep uses them."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    clock.move(minutes=6)
    trouble = proxy.add(**BATCH, **BUSY, skip=1, times=2 * ATTEMPTS_OF_THE_SDK)
    assert swept(app, clock) == {"fresh": 1}
    assert trouble.happened == 2 * ATTEMPTS_OF_THE_SDK
    clock.move(minutes=61)
    assert swept(app, clock) == {"fresh": 1}
    assert (known(app, ben).state, sample_tenant.log()["families_revoked"]) == (State.ACTIVE, 0)


def test_an_answer_lost_after_the_save_costs_a_sweep_no_family(
    app: Services, proxy: StorageProxy, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The second attempt conflicts with our own first one, and the store notices."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    clock.move(minutes=6)
    proxy.add(**BATCH, skip=1, times=1, forward=True)
    assert swept(app, clock) == {"fresh": 1}
    clock.move(minutes=61)
    assert swept(app, clock) == {"fresh": 1}
    assert (known(app, ben).state, sample_tenant.log()["families_revoked"]) == (State.ACTIVE, 0)


def test_a_storage_that_fails_for_a_while_costs_a_request_no_family(
    app: Services, proxy: StorageProxy, sample_tenant: SampleTenant
) -> None:
    """The person waits a moment longer, and both tokens are valid."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    trouble = proxy.add(**SAVE, **BUSY, times=ATTEMPTS_OF_THE_SDK)
    assert app.access.acquire_token(ben)
    assert trouble.happened == ATTEMPTS_OF_THE_SDK
    assert app.access.acquire_token(known(app, ben))
    assert sample_tenant.log()["families_revoked"] == 0


def test_nobody_is_redeemed_whose_lease_ran_out_while_the_sweep_waited(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """When throttling lasts longer than a lease, people who waited are left for the next tick: another process may
    redeem now."""
    enrol(app, sample_tenant, ("ada", "ben", "chiara"))
    clock.move(minutes=6)
    sample_tenant.add_fault("token", "throttle", retry_after=90, times=1)
    first = swept(app, clock)
    assert first["throttled"] == 1
    assert sample_tenant.log()["refresh_tokens_redeemed"] == first.get("fresh", 0)
    for _ in range(3):
        clock.move(minutes=61)
        assert swept(app, clock) == {"fresh": 3}
    assert sample_tenant.log()["families_revoked"] == 0


def test_no_lease_is_held_while_a_task_runs_and_a_challenge_is_met_all_the_same(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The task takes the fresher token as a request would, under a lease of its own."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    leases = []

    def looks(account: Account, _: object) -> None:
        leases.append(known(app, account).lease)

    sample_tenant.add_fault("graph", "challenge", times=1)
    clock.move(minutes=6)
    assert swept(app, clock, (Task("looks", looks, scopes=("User.Read",)), *TASKS)) == {"fresh": 1}
    assert leases == [None]
    assert known(app, ben).lease is None
    found = sample_tenant.log()
    assert (found["refresh_tokens_redeemed"], found["families_revoked"]) == (2, 0)


def test_tasks_that_are_left_behind_redeem_nothing(app: Services, sample_tenant: SampleTenant, clock: Clock) -> None:
    """The sweep went on without them, and the person comes by. The tasks after the late one do not begin."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    sample_tenant.add_fault("graph", "challenge", times=1)
    clock.move(minutes=6)
    go_on = threading.Event()

    def late(_: Account, __: object) -> None:
        go_on.wait(30)

    tasks = (Task("late", late, scopes=("User.Read",), time_limit=timedelta(0)), *TASKS)
    record = Sweep(app, tasks=tasks, grace=-TASKS[0].time_limit).run(due_slots(app.store, clock()))
    assert record
    assert record.counts == {"task_failed": 1}
    assert app.access.acquire_token(known(app, ben))
    go_on.set()
    wait_until(lambda: not app.task_threads.hanging("late"), "the late task came back")
    app.unsaved_tokens.close()
    clock.move(minutes=2)
    assert app.access.acquire_token(known(app, ben))
    found = sample_tenant.log()
    assert (found["refresh_tokens_redeemed"], found["families_revoked"]) == (3, 0)


def test_a_lease_that_ran_out_while_a_sweep_saved_is_told(
    app: Services,
    proxy: StorageProxy,
    sample_tenant: SampleTenant,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Somebody else may have redeemed the old token meanwhile. A lease that held is not worth a line."""
    enrol(app, sample_tenant, ("ben",))
    line = "a lease was over for"
    clock.move(minutes=6)
    assert swept(app, clock) == {"fresh": 1}
    assert line not in caplog.text
    clock.move(minutes=61)
    app.wait = lambda seconds: clock.move(seconds=200 * seconds)
    proxy.add(**BATCH, **BUSY, skip=1, times=ATTEMPTS_OF_THE_SDK)
    assert swept(app, clock) == {"fresh": 1}
    assert line in caplog.text


def test_a_row_made_anew_is_never_taken_for_the_old_one(app: Services) -> None:
    """After signing out and in again, the new row starts with another version number."""
    person = Person("id", "ada")

    def first_version() -> int:
        made = app.lifecycle.enrol(None, person, scopes=(), sealed_cache=b"", token_expires_at=None, now=app.now())
        return made.cache_version

    assert len({first_version() for _ in range(20)}) == 20


TRIES_OF_A_SWEEP = 6
TRIES_OF_A_REQUEST = 4


def fail_to_save_in_a_sweep(app: Services, proxy: StorageProxy) -> None:
    """One sweep redeems, and the storage fails for as long as the sweep is patient."""
    proxy.add(**BATCH, **BUSY, skip=1, times=TRIES_OF_A_SWEEP * ATTEMPTS_OF_THE_SDK)
    record = Sweep(app, tasks=()).run(due_slots(app.store, app.now()))
    assert record
    assert "write accounts: 503" in record.stopped


def test_a_token_that_a_sweep_could_not_save_is_used_by_the_next_one(
    app: Services, proxy: StorageProxy, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The process has kept it, saves it first, and does not redeem the old one again."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    clock.move(minutes=6)
    fail_to_save_in_a_sweep(app, proxy)
    for _ in range(2):
        clock.move(minutes=11)
        Sweep(app, tasks=()).run(due_slots(app.store, app.now()))
    assert known(app, ben).last_swept_at is not None
    assert (known(app, ben).state, sample_tenant.log()["families_revoked"]) == (State.ACTIVE, 0)


def test_a_token_that_a_sweep_could_not_save_is_used_by_a_request(
    app: Services, proxy: StorageProxy, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The person comes by after the sweep's lease is over."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    clock.move(minutes=6)
    fail_to_save_in_a_sweep(app, proxy)
    clock.move(minutes=2)
    assert app.access.acquire_token(known(app, ben))
    assert (known(app, ben).state, sample_tenant.log()["families_revoked"]) == (State.ACTIVE, 0)


def test_a_token_that_a_request_could_not_save_is_used_by_the_next_one(
    app: Services, proxy: StorageProxy, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The first request fails, as nothing could be saved."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    proxy.add(**SAVE, **BUSY, times=TRIES_OF_A_REQUEST * ATTEMPTS_OF_THE_SDK)
    with pytest.raises(StoreError):
        app.access.acquire_token(ben)
    clock.move(minutes=2)
    assert app.access.acquire_token(known(app, ben))
    assert (known(app, ben).state, sample_tenant.log()["families_revoked"]) == (State.ACTIVE, 0)


def leases(app: Services, people: Sequence[Account]) -> list[Lease | None]:
    """The leases that are stored."""
    return [known(app, each).lease for each in people]


def stop_after_the_leases(app: Services, slot: str) -> None:
    """A run of one slot whose time is up when it has taken the leases."""
    this_pass = app.store.begin_pass(Slot(slot, app.now()))
    SlotRun(Progress(app, app.planner_of(()), time_limit=timedelta(0)), slot, this_pass).run()


def test_a_sweep_that_stops_gives_its_leases_back(
    make_services: Callable[..., Services], app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """Nobody waits for a lease that was never used: after a refused secret, and after the time limit."""
    people = enrol(app, sample_tenant, ("ada", "ben", "chiara", "deniz"))
    clock.move(minutes=6)
    calls: list[str] = []
    watched = make_services(clock=clock, store=record_calls(app.store, calls), REFRESH_TOKEN_ROTATION="strict")
    stop_after_the_leases(watched, people[0].slot)
    assert calls.count("touch_many") == 2
    assert leases(app, people) == [None] * 4
    clock.move(minutes=11)
    sample_tenant.change_app(sample_tenant.client_id, secret_state="wrong")
    record = Sweep(app, tasks=()).run(due_slots(app.store, clock()))
    assert record
    assert record.counts == {"misconfigured": 1}
    assert leases(app, people) == [None] * 4


class Meddler:
    """A store in which somebody else writes before a sweep gives its leases back.

    Args:
        meddle: what they make of each row.
    """

    def __init__(self, store: AccountStore, meddle: Callable[[Account], Account]) -> None:
        self._store = store
        self._meddle = meddle

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def touch_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """Touches, after they did."""
        for each in accounts:
            if each.lease is None:
                found = self._store.get(each.account_id)
                assert found
                self._store.touch(self._meddle(found))
        return self._store.touch_many(accounts)


@pytest.mark.parametrize("theirs", [True, False], ids=["took the lease", "came by"])
def test_a_sweep_gives_back_its_own_leases_only(
    make_services: Callable[..., Services], app: Services, sample_tenant: SampleTenant, clock: Clock, theirs: bool
) -> None:
    """Somebody else's lease stays; one of ours is found although its row has changed."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    clock.move(minutes=6)
    lease = Lease("theirs", clock() + timedelta(seconds=30))
    changes: dict[str, Any] = {"lease": lease} if theirs else {"last_activity": clock()}
    store = cast("AccountStore", Meddler(app.store, lambda account: replace(account, **changes)))
    meddled = make_services(clock=clock, wait=clock.wait, store=store, REFRESH_TOKEN_ROTATION="strict")
    stop_after_the_leases(meddled, ben.slot)
    assert leases(app, [ben]) == [lease if theirs else None]


def test_a_lease_that_cannot_be_given_back_keeps_no_other(
    make_services: Callable[..., Services], app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """Both rows have changed, and the first one changes again before its second try."""
    people = enrol(app, sample_tenant, [f"walk-on-{number}" for number in range(24)])
    ((slot, _),) = Counter(each.slot for each in people).most_common(1)
    neighbours = [each for each in people if each.slot == slot]
    again: list[str] = []

    class Busy(Meddler):
        def touch(self, account: Account) -> Account:
            again.append(account.account_id)
            if len(again) == 1:
                raise Conflict(account.account_id)
            return app.store.touch(account)

    clock.move(minutes=6)
    store = cast("AccountStore", Busy(app.store, lambda account: replace(account, last_activity=clock())))
    meddled = make_services(clock=clock, wait=clock.wait, store=store, REFRESH_TOKEN_ROTATION="strict")
    stop_after_the_leases(meddled, slot)
    assert len(again) == len(neighbours) > 1
    assert [each.account_id for each in neighbours if known(app, each).lease] == again[:1]


@pytest.mark.parametrize("cache", [None, b"damaged"], ids=["fresh", "unreadable"])
def test_a_sweep_that_takes_no_leases_ends_none(
    make_services: Callable[..., Services], sample_tenant: SampleTenant, clock: Clock, cache: bytes | None
) -> None:
    """With reusable tokens, a lease on a row is a request's."""
    reusable = make_services(clock=clock, wait=clock.wait)
    (ben,) = enrol(reusable, sample_tenant, ("ben",))
    clock.move(minutes=6)
    lease = Lease("theirs", clock() + timedelta(seconds=30))
    reusable.store.save(replace(ben, lease=lease, sealed_cache=cache or ben.sealed_cache))
    record = Sweep(reusable).run(due_slots(reusable.store, clock()))
    assert record
    assert record.counts == {"unreadable" if cache else "fresh": 1}
    assert known(reusable, ben).lease == lease


def test_a_lease_is_judged_by_the_clock_of_leases(app: Services, clock: Clock) -> None:
    """A wall clock that was set wrong neither ends a lease nor prolongs it."""
    leased = Account(account_id="id", lease=Lease("ours", clock() + timedelta(seconds=60)))
    judged = []
    for wall, service in ((10, 0), (-10, 2), (0, 0)):
        app.now = Clock(clock.ahead + timedelta(minutes=wall))
        app.lease_clock = Clock(clock.ahead + timedelta(minutes=service))
        judged.append(may_redeem(leased, app))
    assert judged == [True, False, True]


def test_redeemed_tokens_do_not_wait_for_others(
    app: Services, make_services: Callable[..., Services], sample_tenant: SampleTenant, clock: Clock
) -> None:
    """A kill costs those who are unsaved: with one thread, a slot's tokens are saved while the next one is redeemed."""
    people = enrol(app, sample_tenant, [f"walk-on-{number}" for number in range(24)])
    slot, most = Counter(each.slot for each in people).most_common(1)[0]
    clock.move(minutes=6)
    calls: list[str] = []
    store = record_calls(app.store, calls)
    strict = {"REFRESH_TOKEN_ROTATION": "strict", "SWEEP_CONCURRENCY": "1"}
    watched = make_services(clock=clock, wait=clock.wait, store=store, **strict)
    this_pass = store.begin_pass(Slot(slot, app.now()))
    SlotRun(Progress(watched, watched.planner_of(()), time_limit=timedelta(minutes=1)), slot, this_pass).run()
    assert most > 2
    assert calls.count("save_many") > 1
