"""A sweep's claim of a slot: who may begin there, what ends it, and how it is given back."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.accounts import Account, slot_of
from shared.services import Services
from shared.store import AccountStore, MemoryAccountStore, Slot
from shared.store.slots import CLAIM, FIRST_EDITION_CLAIM, Index
from shared.sweep_queue import due_slots
from tests.failing_store import failing_store
from tests.recording_store import record_calls
from tests.running_app import Clock
from tests.support import sign_in, wait_until
from timer_worker.claim import Claim, claim_slot
from timer_worker.sweep import Sweep, run_tick, sweep_slot
from timer_worker.task import Task

HOUR = timedelta(hours=1)


class PagedStore(MemoryAccountStore):
    """Pauses before its second page of people.

    Attributes:
        between: what happens then.
    """

    between: Callable[[], object] = staticmethod(lambda: None)

    def due(self, slot: str, now: datetime) -> Iterator[list[Account]]:
        """See AccountStore."""
        for number, page in enumerate(super().due(slot, now)):
            if number == 1:
                self.between()
            yield page


@pytest.fixture
def clock() -> Clock:
    """The app's clock, and its lease clock."""
    return Clock()


@pytest.fixture
def store() -> PagedStore:
    """An empty store."""
    return PagedStore()


@pytest.fixture
def app(make_services: Callable[..., Services], store: PagedStore, clock: Clock) -> Services:
    """The app's parts on that store. All slots are due in an hour, but for slot 00, which is due now."""
    made = make_services(clock=clock, store=store)
    for slot in store.slots():
        store.write_slot(replace(slot, next_due_at=clock() + (HOUR if slot.name != "00" else -HOUR)))
    return made


def row(app: Services) -> Slot:
    """Slot 00, as it is stored."""
    return app.store.slots()[0]


def claimed(app: Services) -> Claim:
    """Slot 00, claimed."""
    claim = claim_slot(row(app), app)
    assert claim
    return claim


def crowd(app: Services, count: int = 150) -> None:
    """People in slot 00 whose caches can't be opened, so that no token is requested."""
    names = [name for name in (f"somebody-{number}" for number in range(10_000)) if slot_of(name) == "00"]
    app.store.save_many([Account(account_id=name, due_at=app.now() - HOUR) for name in names[:count]])


def sweep(app: Services, *tasks: Task) -> dict[str, int] | None:
    """Sweeps what is due. None when nothing could be claimed."""
    record = Sweep(app, tasks=tasks).run(due_slots(app.store, app.now()))
    return record.counts if record else None


def people(counts: dict[str, int] | None) -> int:
    """How many had their turn."""
    return sum((counts or {}).values())


class BehindClock(Clock):
    """A lease clock that may be two seconds behind; it is not."""

    def __call__(self) -> datetime:
        """The earliest that it can be."""
        return self.latest() - timedelta(seconds=2)

    def latest(self) -> datetime:
        """The latest that it can be."""
        return super().__call__()


def test_no_turn_begins_when_another_host_may_see_the_claim_s_end(
    make_services: Callable[..., Services], app: Services, store: PagedStore, clock: Clock
) -> None:
    """Its clock is known better, and it has claimed the slot."""
    behind = BehindClock()
    ours = claimed(make_services(clock=clock, lease_clock=behind, store=store))
    assert ours.is_held()
    for each in (behind, clock):
        each.move(seconds=CLAIM.total_seconds() - 1)
    assert claimed(app).is_held()
    assert not ours.is_held()


def test_no_second_sweep_begins_while_one_is_at_work(make_services: Callable[..., Services], clock: Clock) -> None:
    """Although somebody lowers the hint meanwhile: that takes effect when the first one ends."""
    app = make_services(clock=clock)
    ada = sign_in(app)
    clock.move(minutes=7)
    second: list[object] = []

    def look_from_another_host(*_: object) -> None:
        app.store.lower_hint(ada.slot, clock())
        lowered = [slot for slot in app.store.slots() if slot.name == ada.slot and slot.next_due_at <= clock()]
        assert lowered
        second.append(Sweep(app, tasks=()).run(lowered))

    assert sweep(app, Task("look", look_from_another_host, scopes=())) == {"fresh": 1}
    assert second == [None]
    (lowered,) = [slot for slot in app.store.slots() if slot.name == ada.slot]
    assert (lowered.is_claimed(clock()), lowered.is_due(clock(), clock())) == (False, True)


def test_a_sweep_that_lost_its_claim_begins_no_further_turn(app: Services, store: PagedStore, clock: Clock) -> None:
    """It was paused for longer than the claim lasts, and another sweep came by."""
    crowd(app)

    def pause() -> None:
        store.write_slot(row(app).claim("another", clock() + timedelta(minutes=2)))
        clock.move(minutes=2)

    store.between = pause
    assert 0 < people(sweep(app)) <= 100
    assert row(app).is_claimed(clock())


def test_a_sweep_that_was_paused_goes_on_when_nobody_came_by(app: Services, store: PagedStore, clock: Clock) -> None:
    """It renews its claim first."""
    crowd(app)
    store.between = lambda: clock.move(minutes=2)
    assert sweep(app) == {"unreadable": 150}
    assert (row(app).claim_owner, row(app).first_claimed_at) == ("", None)


def test_a_sweep_that_cannot_renew_its_claim_begins_no_further_turn(
    app: Services, store: PagedStore, clock: Clock
) -> None:
    """After a pause, with a storage that fails, nobody knows whose the slot is."""
    crowd(app)

    def pause() -> None:
        app.store = failing_store(store, ["write_slot"])
        clock.move(minutes=2)

    store.between = pause
    record = Sweep(app, tasks=()).run(due_slots(store, clock()))
    assert record
    assert 0 < record.people <= 100
    assert "503" in record.stopped


def test_slots_are_claimed_when_their_runs_start(app: Services, clock: Clock) -> None:
    """A sweep that must stop leaves the others as they are: whoever comes next takes them at once."""
    clock.move(hours=2)
    before = app.store.slots()
    record = Sweep(app, tasks=(), time_limit=timedelta(0)).run(due_slots(app.store, clock()))
    assert record
    assert (record.slots, record.stopped) == (0, "time_limit")
    assert app.store.slots() == before


def test_a_slot_that_was_swept_meanwhile_is_left_alone(app: Services, clock: Clock) -> None:
    """Its row was read long ago: with the queue, or behind other slots of the same sweep."""
    slot = row(app)
    assert sweep(app) == {}
    assert claim_slot(slot, app) is None
    assert claim_slot(replace(row(app), next_due_at=clock()), app)


def test_a_slot_that_was_lowered_since_it_was_read_is_claimed(app: Services, clock: Clock) -> None:
    """Only its ETag has moved."""
    slot = row(app)
    app.store.lower_hint("00", clock())
    assert claim_slot(slot, app)


def test_a_renewal_keeps_a_hint_that_was_lowered(app: Services, clock: Clock) -> None:
    """The row has moved, and is still ours. The lower hint is there when the claim ends."""
    claim = claimed(app)
    lowered = clock()
    app.store.lower_hint("00", lowered)
    clock.move(minutes=2)
    assert claim.is_held()
    assert row(app).is_claimed(clock())
    assert row(app).next_due_at == lowered


def test_finishing_does_not_overwrite_a_hint_that_was_lowered_to_later_than_the_claim(
    app: Services, clock: Clock
) -> None:
    """The newcomer is due in five minutes: the row shows no more than that somebody wrote it. So the slot is due again
    when the claim would have ended."""
    claim = claimed(app)
    app.store.lower_hint("00", clock() + timedelta(minutes=5))
    claim.finish(clock() + HOUR)
    assert not row(app).claim_owner
    assert row(app).next_due_at <= clock() + CLAIM


def test_a_claim_that_was_lost_is_not_given_back(app: Services, clock: Clock) -> None:
    """The slot is another sweep's now."""
    claim = claimed(app)
    clock.move(minutes=2)
    claimed(app)
    before = row(app)
    assert not claim.is_held()
    claim.finish(clock() + HOUR)
    assert row(app) == before


def test_a_row_that_the_first_edition_lowered_is_still_ours(app: Services, clock: Clock) -> None:
    """It replaced the row, without our owner. The next renewal puts it back."""
    claim = claimed(app)
    now, known = clock(), row(app)
    app.store.write_slot(Slot("00", now, known.etag, claimed_until=known.claimed_until))
    clock.move(seconds=60)
    claim._renew()
    assert claim.is_held()
    assert (row(app).claim_owner, row(app).next_due_at) == (known.claim_owner, now)
    claim.finish(now, Index(7, now))
    assert (row(app).claim_owner, row(app).index) == ("", None), "it may have saved somebody who is in no list"


def test_a_mark_is_written_when_the_slot_is_given_back(app: Services, clock: Clock) -> None:
    """Also when somebody lowered the hint meanwhile: a wake of ours has its own list."""
    index = Index(7, clock())
    claimed(app).finish(clock(), index)
    assert row(app).index == index
    claim = claimed(app)
    assert row(app).index == index
    app.store.lower_hint("00", clock())
    claim.finish(clock(), replace(index, rows=8))
    assert row(app).index == replace(index, rows=8)
    claim = claimed(app)
    known = row(app)
    app.store.write_slot(Slot("00", clock(), known.etag, claimed_until=known.claimed_until))
    claim.finish(clock(), index)
    assert (row(app).claim_owner, row(app).index) == ("", None), "the first edition replaced the row"


def test_a_row_that_the_first_edition_claimed_is_lost(app: Services, clock: Clock) -> None:
    """Its claim lasts longer than ours."""
    claim = claimed(app)
    until = clock() + FIRST_EDITION_CLAIM
    theirs = app.store.write_slot(Slot("00", until, row(app).etag, claimed_until=until))
    claim._renew()
    assert not claim.is_held()
    claim.finish(clock() + HOUR)
    assert row(app) == theirs


def test_a_claim_is_renewed_while_its_run_lasts_and_not_after(app: Services, clock: Clock) -> None:
    """By a thread that ends with the run."""
    claim = claim_slot(row(app), app, renew_every=0.001)
    assert claim
    before = row(app)
    with claim.kept():
        clock.move(seconds=60)
        wait_until(lambda: row(app).claimed_until == row(app).next_due_at > before.next_due_at + CLAIM / 2, "a renewal")
        assert [each.name for each in threading.enumerate()].count("claim 00") == 1
    assert "claim 00" not in [each.name for each in threading.enumerate()]
    assert row(app).claim_owner == before.claim_owner


def test_a_sweep_renews_its_claim_while_it_runs(app: Services, store: PagedStore, clock: Clock) -> None:
    """Also while no turn begins in the slot."""
    crowd(app)

    def go_slowly() -> None:
        clock.move(seconds=60)
        wait_until(lambda: row(app).next_due_at > clock() + CLAIM / 2, "a renewal")

    store.between = go_slowly
    record = Sweep(app, tasks=(), renew_every=0.001).run(due_slots(store, clock()))
    assert record
    assert record.counts == {"unreadable": 150}


def test_a_renewal_that_fails_is_tried_again(app: Services, store: PagedStore, clock: Clock) -> None:
    """The storage was down for a moment."""
    claim = claim_slot(row(app), app, renew_every=0.001)
    assert claim
    calls: list[str] = []
    app.store = record_calls(failing_store(store, ["write_slot"]), calls)
    with claim.kept():
        wait_until(lambda: len(calls) > 1, "two renewals that fail")
        app.store = store
        clock.move(seconds=60)
        wait_until(lambda: row(app).next_due_at > clock() + CLAIM / 2, "a renewal")
    assert claim.is_held()


def test_a_run_that_fails_in_an_unexpected_way_gives_its_slot_back(app: Services, store: PagedStore) -> None:
    """The next tick takes it, and the heartbeat counts on from the first try."""
    hint = row(app).next_due_at
    crowd(app)

    def fail() -> None:
        raise RuntimeError("unexpected")

    store.between = fail
    record = Sweep(app, tasks=()).run(due_slots(store, app.now()))
    assert record
    assert record.stopped == "slot 00: RuntimeError"
    assert (row(app).next_due_at, row(app).claim_owner) == (hint, "")
    assert row(app).first_claimed_at


def test_people_left_behind_keep_the_heartbeat_s_count(app: Services, store: PagedStore, clock: Clock) -> None:
    """A sweep that leaves nobody behind ends it."""
    crowd(app)
    store.between = app.closing.set
    before = people(sweep(app))
    assert 0 < before <= 100
    first = row(app).first_claimed_at
    assert first
    app.closing.clear()
    clock.move(minutes=5)
    store.between = lambda: None
    assert people(sweep(app)) == 150 - before
    assert row(app).first_claimed_at is None


def test_closing_the_app_saves_the_turns_that_began_and_gives_the_slot_back(
    make_services: Callable[..., Services], store: PagedStore, clock: Clock
) -> None:
    """The threads that would do their tasks end last. Another instance takes the rest at once."""
    at_work: list[bool] = []

    class Workers(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            at_work.append(bool(store.slots()[0].claim_owner))
            super().shutdown(wait, cancel_futures=cancel_futures)

    app = make_services(clock=clock, store=store)
    app.workers = Workers(4)
    crowd(app)
    closing = threading.Thread(target=app.close)

    def close() -> None:
        closing.start()
        app.closing.wait()

    store.between = close
    before = people(sweep(app))
    assert 0 < before <= 100
    closing.join()
    assert at_work == [False]
    assert (row(app).claim_owner, row(app).is_due(clock(), clock())) == ("", True)
    other = make_services(clock=clock, store=store)
    store.between = lambda: None
    assert people(sweep(other)) == 150 - before


def test_a_dead_host_s_slot_is_taken_when_its_claim_ends_and_its_message_finds_nothing_to_do(
    app: Services, clock: Clock
) -> None:
    """The message comes back to the queue when the host's lock on it ends. By then somebody else has swept the slot."""
    clock.move(minutes=61 - clock().minute)  # not shortly before the full hour, when it is the slot's turn again
    crowd(app, 3)
    claimed(app)
    assert sweep_slot("00", app) is None
    clock.move(seconds=CLAIM.total_seconds())
    run_tick(app)
    assert [each.counts for each in app.store.recent_sweeps(9)] == [{"unreadable": 3}]
    clock.move(minutes=9)
    assert sweep_slot("00", app) is None
    assert len(app.store.recent_sweeps(9)) == 1


def test_an_answer_that_was_lost_costs_no_claim(app: Services, store: PagedStore, clock: Clock) -> None:
    """Our claim was written, and somebody lowered the hint before we could look for our write."""

    class Forgetful:
        def write_slot(self, slot: Slot) -> Slot | None:
            store.write_slot(slot)
            store.lower_hint("00", clock())
            return None

        def slots(self) -> list[Slot]:
            return store.slots()

    given: AccountStore = Forgetful()  # type: ignore[assignment] # the two methods that a claim uses
    app.store = given
    claim = claim_slot(row(app), app)
    app.store = store
    assert claim
    assert claim.is_held()
    claim.finish(clock() + HOUR)
    assert not row(app).claim_owner
