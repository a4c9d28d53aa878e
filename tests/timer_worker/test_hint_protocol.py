"""The hint protocol of the Slots table: every interleaving of sign-in and sweeps over a small store, with crashes.

Each actor is a generator that does one storage call per step, in the order of the real code (the last test holds the
real code to that order). The scheduler tries every order of steps, and a crash after each of them.
"""

import functools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.accounts import Account, slot_of
from shared.services import Services
from shared.store import MemoryAccountStore, Slot
from shared.sweep_queue import due_slots
from tests.recording_store import record_calls
from timer_worker.sweep import CLAIM, Sweep

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(minutes=5)
EVERY = timedelta(minutes=60)
ABSENT_AFTER = timedelta(minutes=5)
SIGN_IN_AT = T0
SWEEP_AT = T0 + timedelta(minutes=4)  # the sweep comes when yesterday's hint is due and the newcomer is not
NEWCOMER, RESIDENT = "newcomer", "resident"
SLOT = "00"

Actor = Generator[None]


@dataclass
class World:
    """A store with one slot in use, and the time of each person's sweep."""

    store: MemoryAccountStore = field(default_factory=MemoryAccountStore)
    swept: dict[str, list[datetime]] = field(default_factory=dict)

    def accounts(self) -> list[Account]:
        """Everybody in the slot."""
        return [each for name in (NEWCOMER, RESIDENT) if (each := self.store.get(in_slot(name)))]


@functools.cache
def in_slot(name: str) -> str:
    """An account id that falls into SLOT."""
    return next(f"{name}-{n}" for n in range(10_000) if slot_of(f"{name}-{n}") == SLOT)


def hint(world: World) -> Slot:
    """The slot's row."""
    return next(each for each in world.store.slots() if each.name == SLOT)


def sign_in(world: World, now: datetime, *, hint_first: bool = False) -> Actor:
    """Enrolment.save_sign_in: the row, then the hint (read, then written with its ETag, again when it moved)."""

    def lower() -> Actor:
        while True:
            known = hint(world)
            yield
            lowest = min(known.next_due_at, due_at) if known.etag else due_at
            if world.store.set_hint(known, lowest):
                break
            yield

    due_at = now + ABSENT_AFTER
    known = world.store.get(in_slot(NEWCOMER))
    yield
    if hint_first:
        yield from lower()
        yield
    world.store.save(replace(known or Account(account_id=in_slot(NEWCOMER)), due_at=due_at, last_activity=now))
    if not hint_first:
        yield
        yield from lower()


def sweep(world: World, now: datetime, *, finish_blindly: bool = False, scan_after: bool = True) -> Actor:
    """timer_worker.sweep: read, claim, scan, save, read the earliest, finish with the claim's ETag."""
    slot = hint(world)
    if slot.next_due_at > now:
        return
    yield
    claimed = world.store.set_hint(slot, now + CLAIM)
    if claimed is None:
        return
    latest = now + EVERY
    yield
    early = world.store.earliest_due(SLOT, latest)
    due = [account for page in world.store.due(SLOT, now) for account in page]
    yield
    for account in world.store.save_many([replace(each, due_at=latest, last_swept_at=now) for each in due]):
        if isinstance(account, Account):
            world.swept.setdefault(account.account_id, []).append(now)
    yield
    earliest = world.store.earliest_due(SLOT, latest) if scan_after else early
    yield
    if finish_blindly:
        claimed = replace(claimed, etag=hint(world).etag)
    world.store.set_hint(claimed, min(earliest or latest, latest))


def play(actors: list[Actor], order: tuple[int, ...]) -> bool:
    """Runs steps in this order. Returns False when an actor had ended before its step. An actor whose steps run out has
    crashed."""
    alive = [True] * len(actors)
    for index in order:
        if not alive[index]:
            return False
        try:
            next(actors[index])
        except StopIteration:
            alive[index] = False
    return True


def orders(most: tuple[int, ...], prefix: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Every sequence with at most this many steps per actor. The short ones are crashes."""
    yield prefix
    for index, left in enumerate(most):
        if left:
            yield from orders((*most[:index], left - 1, *most[index + 1 :]), (*prefix, index))


def lateness(world: World, since: datetime) -> timedelta:
    """How late the most overdue person is swept, by clean ticks from `since` on; EVERY * 3 when never."""
    due = {each.account_id: each.due_at for each in world.accounts()}
    swept: dict[str, datetime] = {}
    for tick in range(int(3 * EVERY / TICK)):
        now = since + tick * TICK
        before = {each.account_id: each.last_swept_at for each in world.accounts()}
        for _ in sweep(world, now):
            pass
        for account in world.accounts():
            if account.last_swept_at != before.get(account.account_id):
                swept.setdefault(account.account_id, now)
        if len(swept) == len(due):
            break
    return max((swept.get(key, at + 3 * EVERY) - at for key, at in due.items()), default=timedelta())


Scenario = Callable[[World], list[Actor]]


def worst(scenario: Scenario, steps: tuple[int, ...]) -> tuple[timedelta, int]:
    """The worst lateness over all orders, and how many orders were tried."""
    latest, tried = timedelta(), 0
    for order in orders(steps):
        world = World()
        world.store.save(Account(account_id=in_slot(RESIDENT), due_at=T0 - TICK))
        world.store.lower_hint(SLOT, T0 - TICK)
        if not play(scenario(world), order):
            continue
        tried += 1
        latest = max(latest, lateness(world, SWEEP_AT + TICK))
    return latest, tried


def test_no_order_of_sign_in_and_two_sweeps_loses_anybody() -> None:
    """Wherever an actor crashes, everybody has their turn, at the latest when the slot is due again."""
    latest, tried = worst(
        lambda world: [sign_in(world, SIGN_IN_AT), sweep(world, SWEEP_AT), sweep(world, SWEEP_AT)], (4, 6, 2)
    )
    assert tried > 5_000
    assert latest <= EVERY + TICK  # a sign-in that crashed between row and hint


def test_no_order_of_two_sweeps_loses_anybody() -> None:
    """The slot of a crashed sweep is due again when the claim ends."""
    latest, tried = worst(lambda world: [sweep(world, SWEEP_AT), sweep(world, SWEEP_AT)], (6, 6))
    assert tried > 50
    assert latest <= TICK + (SWEEP_AT - T0) + CLAIM + TICK


def completed(*swaps: str) -> timedelta:
    """The worst lateness when nobody crashes: one sign-in, one sweep, with some of the protocol's steps swapped."""
    latest = timedelta()
    for order in orders((6, 6)):
        world = World()
        world.store.save(Account(account_id=in_slot(RESIDENT), due_at=T0 - TICK))
        world.store.lower_hint(SLOT, T0 - TICK)
        actors = [
            sign_in(world, SIGN_IN_AT, hint_first="hint first" in swaps),
            sweep(
                world,
                SWEEP_AT,
                finish_blindly="finish blindly" in swaps,
                scan_after="scan before saving" not in swaps,
            ),
        ]
        if not play(actors, order):
            continue
        for actor in actors:
            for _ in actor:
                pass
        latest = max(latest, lateness(world, SWEEP_AT + TICK))
    return latest


def test_without_crashes_nobody_waits_longer_than_a_claim() -> None:
    """This is what the order of writes guarantees."""
    assert completed() <= CLAIM + TICK


@pytest.mark.parametrize("swap", ["hint first", "finish blindly"])
def test_swapping_two_steps_of_the_protocol_is_seen(swap: str) -> None:
    """The hint before the row, or a finish without the claim's ETag: then a person waits a whole interval."""
    assert completed(swap) > CLAIM + TICK


def test_lowering_without_writing_is_seen() -> None:
    """`lower_hint` must always write: a hint that is already low enough would not stop a finish that scanned before the
    row."""
    world = World()
    world.store.lower_hint(SLOT, T0 - TICK)
    world.store.save(Account(account_id=in_slot(RESIDENT), due_at=T0 - TICK))
    sweeping = sweep(world, SWEEP_AT)
    for _ in range(5):
        next(sweeping)
    signing_in = sign_in(world, SWEEP_AT)
    for _ in range(2):
        next(signing_in)  # the row is written; the hint, at now + CLAIM, is low enough: a lazy one would stop here
    for _ in sweeping:
        pass
    assert lateness(world, SWEEP_AT + TICK) > CLAIM + TICK


def test_the_real_code_keeps_this_order(make_services: Callable[..., Services]) -> None:
    """The storage calls of a real sweep, and of a real `lower_hint` after a save, in the model's order."""
    calls: list[str] = []
    app = make_services(store=record_calls(MemoryAccountStore(), calls))
    saved = app.store.save(Account(account_id=in_slot(RESIDENT), due_at=T0))
    app.store.lower_hint(saved.slot, saved.due_at)
    calls.clear()
    Sweep(app, tasks=()).run(due_slots(app.store, app.now())[:1])
    assert calls == ["slots", "set_hint", "due", "save_many", "earliest_due", "set_hint", "record_sweep"]
