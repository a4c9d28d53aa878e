"""The protocol of the Slots table: every interleaving of sign-in, activity and sweeps over a small store, with crashes.

Each actor is a generator that does one storage call per step, in the order of the real code (the last tests hold the
real code to that order). The search visits every state that any order of steps reaches, each once. A crash is an actor
that takes no further step, so every state is also the one after some crash. The clock is shared and never goes back: an
actor that is overtaken by a later one was paused meanwhile.
"""

import functools
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.accounts import Account, slot_of
from shared.errors import Conflict
from shared.services import Services
from shared.store import MemoryAccountStore, Slot
from shared.store.slots import CLAIM, FIRST_EDITION_CLAIM
from shared.sweep_queue import due_slots
from tests.recording_store import record_calls
from timer_worker.sweep import Sweep

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(minutes=5)
EVERY = timedelta(minutes=60)
ABSENT_AFTER = timedelta(minutes=5)
SIGN_IN_AT = T0
SWEEP_AT = T0 + timedelta(minutes=4)  # the sweep comes when yesterday's hint is due and the newcomer is not
AFTER_THE_CLAIM = SWEEP_AT + CLAIM + timedelta(seconds=10)
NEWCOMER, RESIDENT = "newcomer", "resident"
SLOT = "00"

Actor = Generator[None]
Renewal = Generator[None, None, Slot | None]


@dataclass
class World:
    """A store with one slot in use, and the time.

    Attributes:
        intruders: sweeps that began a turn while the slot was another's.
    """

    store: MemoryAccountStore = field(default_factory=MemoryAccountStore)
    now: datetime = T0
    intruders: list[str] = field(default_factory=list)

    @property
    def slot(self) -> Slot:
        """The slot's row."""
        return next(each for each in self.store.slots() if each.name == SLOT)

    @property
    def accounts(self) -> list[Account]:
        """Everybody in the slot."""
        return [each for name in (NEWCOMER, RESIDENT) if (each := self.store.get(in_slot(name)))]

    def copy(self) -> "World":
        """Another world with the same rows and the same time."""
        other = World(now=self.now)
        for account in self.accounts:
            other.store.save(replace(account, etag=None))
        other.store.write_slot(replace(self.slot, etag=None))
        return other

    def begin_turn(self, owner: str) -> None:
        """Notes it when the slot is another's."""
        if self.slot.is_claimed(self.now) and self.slot.claim_owner != owner:
            self.intruders.append(owner)


def first_world() -> World:
    """The resident has been due for a tick."""
    world = World()
    world.store.save(Account(account_id=in_slot(RESIDENT), due_at=T0 - TICK))
    world.store.lower_hint(SLOT, T0 - TICK)
    return world


@functools.cache
def in_slot(name: str) -> str:
    """An account id that falls into SLOT."""
    return next(f"{name}-{n}" for n in range(10_000) if slot_of(f"{name}-{n}") == SLOT)


def sign_in(world: World, at: datetime, *, hint_first: bool = False, first_edition: bool = False) -> Actor:
    """Enrolment.save_sign_in: the row, then the hint (read, then written with its ETag, again when it moved). The first
    edition writes a row of its own making."""

    def lower() -> Actor:
        while True:
            known = world.slot
            yield
            lowered = known.lower(due_at)
            if first_edition:
                lowered = Slot(SLOT, lowered.next_due_at, known.etag, claimed_until=known.claimed_until)
            if world.store.write_slot(lowered):
                break
            yield

    world.now = max(world.now, at)
    due_at = at + ABSENT_AFTER
    known = world.store.get(in_slot(NEWCOMER))
    yield
    if hint_first:
        yield from lower()
        yield
    world.store.save(replace(known or Account(account_id=in_slot(NEWCOMER)), due_at=due_at, last_activity=at))
    if not hint_first:
        yield
        yield from lower()


def be_active(world: World, at: datetime) -> Actor:
    """Access: a request notes that the resident is here. Being due later writes no hint."""
    world.now = max(world.now, at)
    known = world.store.get(in_slot(RESIDENT))
    assert known
    yield
    try:
        world.store.touch(replace(known, due_at=at + ABSENT_AFTER, last_activity=at))
    except Conflict:
        return


def renew(world: World, held: Slot) -> Renewal:
    """Claim._renew: the claim's row, or None when it was lost."""
    known = held
    while True:
        renewed = world.store.write_slot(known.renew(held.claim_owner, world.now))
        if renewed:
            return renewed
        yield
        known = world.slot
        if not known.is_still_of(held, world.now):
            return None
        yield


def sweep(  # noqa: C901 - the whole of it in one place, step by step
    world: World, at: datetime, owner: str = "a sweep", *, swaps: tuple[str, ...] = ()
) -> Actor:
    """timer_worker.sweep and claim: read, claim, scan, renew, look at the claim, save, read the earliest, finish."""
    world.now = max(world.now, at)
    slot = world.slot
    while True:
        blind = "by the hint alone" in swaps and slot.next_due_at <= world.now
        if not (blind or slot.is_due(world.now, world.now)):
            return
        yield
        claim = world.store.write_slot(slot.claim(owner, world.now))
        if claim:
            break
        yield
        slot = world.slot
    began, latest = world.now, world.now + EVERY
    yield
    due = [account for page in world.store.due(SLOT, world.now) for account in page]
    yield
    held = yield from renew(world, claim)
    yield
    while held and not held.is_claimed(world.now) and "without a look" not in swaps:
        held = yield from renew(world, held)
        yield
    if held is None and "without a look" not in swaps:
        return
    held = held or claim
    world.begin_turn(owner)
    world.store.save_many([replace(each, due_at=latest, last_swept_at=world.now) for each in due])
    yield
    target = world.store.earliest_due(SLOT, latest) or latest
    if "renew late" in swaps:
        yield
        held = (yield from renew(world, held)) or held
    row = held
    while True:
        yield
        if "finish blindly" in swaps:
            row = replace(row, etag=world.slot.etag)
        if world.store.write_slot(row.release(target, finished=target > began)):
            return
        yield
        row = world.slot
        if not row.is_still_of(held, world.now):
            return
        target = min(target, row.next_due_at)


def sweep_of_the_first_edition(world: World, at: datetime) -> Actor:
    """It looks at the hint alone, and replaces the row."""
    world.now = max(world.now, at)
    slot, until, latest = world.slot, world.now + FIRST_EDITION_CLAIM, world.now + EVERY
    if slot.next_due_at > world.now:
        return
    yield
    claim = world.store.write_slot(Slot(SLOT, until, slot.etag, claimed_until=slot.claimed_until or until))
    if claim is None:
        return
    yield
    due = [account for page in world.store.due(SLOT, world.now) for account in page]
    yield
    world.store.save_many([replace(each, due_at=latest, last_swept_at=world.now) for each in due])
    yield
    earliest = world.store.earliest_due(SLOT, latest)
    yield
    world.store.write_slot(Slot(SLOT, min(earliest or latest, latest), claim.etag))


Scenario = Callable[[World], list[Actor]]


def states(scenario: Scenario) -> Iterator[tuple[World, bool]]:
    """Every state that an order of steps reaches, and whether every actor has ended by itself."""
    seen = set()
    orders: list[tuple[int, ...]] = [()]
    while orders:
        order = orders.pop()
        world = first_world()
        actors = scenario(world)
        alive = set(range(len(actors)))
        ahead = list(order)
        while True:
            for index in ahead:
                if next(actors[index], StopIteration) is StopIteration:
                    alive.remove(index)
            state = (facts(world), *(memory_of(actor, world) for actor in actors))
            if state in seen:
                break
            seen.add(state)
            yield world, not alive
            if not alive:
                break
            first, *others = sorted(alive)
            orders += [(*order, index) for index in others]
            order, ahead = (*order, first), [first]  # go on from here; the others' turns are played from the start


def facts(world: World) -> str:
    """What is stored, without ETags, and the time."""
    rows = [replace(each, etag=None) for each in world.accounts]
    return repr((world.now, world.intruders, replace(world.slot, etag=None), rows))


def memory_of(actor: Actor, world: World) -> str:
    """Where an actor is, and what it knows. Of an ETag only whether it is still the row's: none comes back."""
    known = []
    inner: Any = actor
    while inner is not None and inner.gi_frame:
        local = {name: value for name, value in inner.gi_frame.f_locals.items() if name not in ("world", "lower")}
        known.append((inner.gi_frame.f_lasti, local))
        inner = inner.gi_yieldfrom
    current = {world.slot.etag, *(each.etag for each in world.accounts)}
    return re.sub(r'W/"\d+"', lambda tag: "current" if tag[0] in current else "old", repr(known))


def lateness(world: World) -> dict[str, timedelta]:
    """How late each person is swept, by clean sweeps a minute from now and at each tick after that; EVERY * 3 when
    never."""
    due = {each.account_id: each.due_at for each in world.accounts}
    swept: dict[str, datetime] = {}
    start = world.now + TICK / 5
    for tick in range(int(3 * EVERY / TICK)):
        before = {each.account_id: each.last_swept_at for each in world.accounts}
        for _ in sweep(world, start + tick * TICK, f"tick {tick}"):
            pass
        for account in world.accounts:
            if account.last_swept_at != before[account.account_id]:
                swept.setdefault(account.account_id, world.now)
        if len(swept) == len(due):
            break
    return {key: swept.get(key, at + 3 * EVERY) - at for key, at in due.items()}


@dataclass
class Found:
    """What a search found.

    Attributes:
        intruders: sweeps that ever began a turn while the slot was another's.
        latest: how late anybody was swept at worst, by name.
    """

    tried: int = 0
    intruders: set[str] = field(default_factory=set)
    latest: dict[str, timedelta] = field(default_factory=dict)


def search(scenario: Scenario, *, crashes: bool = True) -> Found:
    """Visits the states, and lets clean sweeps follow each; without crashes, those in which every actor has ended."""
    found = Found()
    known: set[str] = set()
    for world, all_ended in states(scenario):
        found.tried += 1
        found.intruders.update(world.intruders)
        if (all_ended or crashes) and (stored := facts(world)) not in known:
            known.add(stored)
            for key, late in lateness(world.copy()).items():
                name = key.partition("-")[0]
                found.latest[name] = max(late, found.latest.get(name, late))
    return found


def test_no_order_of_sign_in_activity_and_two_sweeps_loses_anybody() -> None:
    """Wherever an actor crashes, everybody has their turn, at the latest when the slot is due again. Only one sweep at
    a time is at work."""
    found = search(
        lambda world: [
            sign_in(world, SIGN_IN_AT),
            be_active(world, SWEEP_AT),
            sweep(world, SWEEP_AT, "one"),
            sweep(world, SWEEP_AT, "two"),
        ]
    )
    assert found.tried > 4_000
    assert found.intruders == set()
    assert max(found.latest.values()) <= EVERY + TICK  # a sign-in that crashed between row and hint


def test_a_dead_sweep_s_people_are_swept_within_a_claim_and_a_tick() -> None:
    """Wherever it died, and whoever had claimed the slot before."""
    found = search(lambda world: [sweep(world, SWEEP_AT, "one"), sweep(world, AFTER_THE_CLAIM, "two")])
    assert found.tried > 100
    assert found.intruders == set()
    assert found.latest[RESIDENT] <= (AFTER_THE_CLAIM - (T0 - TICK)) + CLAIM + TICK


def test_a_sweep_that_was_paused_begins_no_turn_in_a_slot_that_is_another_s() -> None:
    """Its claim ran out meanwhile, another sweep came by, and somebody signed in."""
    found = search(
        lambda world: [
            sign_in(world, SWEEP_AT),
            sweep(world, SWEEP_AT, "one"),
            sweep(world, AFTER_THE_CLAIM, "two"),
        ]
    )
    assert found.tried > 2_000
    assert found.intruders == set()
    assert max(found.latest.values()) <= EVERY + TICK


@pytest.mark.parametrize(
    ("at", "first_edition"),
    [(SWEEP_AT, False), (SWEEP_AT, True), (AFTER_THE_CLAIM, True)],
    ids=["its sweep", "its sweep and sign-in", "its sweep, later, and sign-in"],
)
def test_an_instance_of_the_first_edition_beside_loses_nobody(at: datetime, *, first_edition: bool) -> None:
    """It replaces rows, and its claims last longer."""

    def scenario(world: World) -> list[Actor]:
        return [
            sign_in(world, SIGN_IN_AT, first_edition=first_edition),
            sweep(world, SWEEP_AT, "one"),
            sweep_of_the_first_edition(world, at),
        ]

    assert max(search(scenario).latest.values()) <= EVERY + TICK


def test_without_crashes_nobody_waits_longer_than_a_claim() -> None:
    """This is what the order of writes guarantees, whoever is paused."""
    found = search(
        lambda world: [
            sign_in(world, SIGN_IN_AT),
            sweep(world, SWEEP_AT, "one"),
            sweep(world, AFTER_THE_CLAIM, "two"),
        ],
        crashes=False,
    )
    assert max(found.latest.values()) <= CLAIM + TICK
    assert found.intruders == set()


@pytest.mark.parametrize("swap", ["hint first", "finish blindly", "renew late"])
def test_swapping_two_steps_of_the_protocol_is_seen(swap: str) -> None:
    """The hint before the row, a finish without the claim's ETag, or a claim renewed after the earliest due time was
    read: then a person waits a whole interval."""
    found = search(
        lambda world: [
            sign_in(world, SIGN_IN_AT, hint_first=swap == "hint first"),
            sweep(world, SWEEP_AT, "one", swaps=(swap,)),
        ],
        crashes=False,
    )
    assert max(found.latest.values()) > CLAIM + TICK


def test_a_sweep_that_goes_by_the_hint_alone_is_seen() -> None:
    """Somebody lowers the hint while another sweep is at work."""
    found = search(
        lambda world: [
            sign_in(world, SIGN_IN_AT - ABSENT_AFTER),
            sweep(world, SWEEP_AT, "one"),
            sweep(world, SWEEP_AT, "two", swaps=("by the hint alone",)),
        ]
    )
    assert found.intruders


def test_a_sweep_that_does_not_look_at_its_claim_after_a_pause_is_seen() -> None:
    """It would begin turns beside the sweep that came by meanwhile."""
    found = search(
        lambda world: [
            sweep(world, SWEEP_AT, "one", swaps=("without a look",)),
            sweep(world, AFTER_THE_CLAIM, "two"),
        ]
    )
    assert found.intruders


def test_lowering_without_writing_is_seen() -> None:
    """`lower_hint` must always write: a hint that is already low enough would not stop a finish that scanned before the
    row."""
    world = first_world()
    sweeping = sweep(world, SWEEP_AT)
    for _ in range(6):
        next(sweeping)
    signing_in = sign_in(world, SWEEP_AT)
    for _ in range(2):
        next(signing_in)  # the row is written; the hint, at the claim's end, is low enough: a lazy one would stop here
    for _ in sweeping:
        pass
    assert max(lateness(world).values()) > CLAIM + TICK


def test_the_real_code_keeps_this_order(make_services: Callable[..., Services]) -> None:
    """The storage calls of a real sweep, after a real `lower_hint`, in the model's order. tests of claims hold the real
    renewals to it."""
    calls: list[str] = []
    app = make_services(store=record_calls(MemoryAccountStore(), calls))
    saved = app.store.save(Account(account_id=in_slot(RESIDENT), due_at=T0))
    app.store.lower_hint(saved.slot, saved.due_at)
    calls.clear()
    Sweep(app, tasks=()).run(due_slots(app.store, app.now())[:1])
    assert calls == ["slots", "write_slot", "due", "save_many", "earliest_due", "write_slot", "record_sweep"]
