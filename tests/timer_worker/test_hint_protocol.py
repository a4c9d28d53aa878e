"""The protocol of the tables Slots and Due: every interleaving of sign-in, activity and sweeps over a small store, with
crashes.

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
from typing import Any, NamedTuple

import pytest
from azure.data.tables import TableServiceClient

from localdev.azurite import Azurite
from shared.accounts import Account, slot_of
from shared.errors import Conflict
from shared.services import Services
from shared.store import MemoryAccountStore, Slot, TableAccountStore
from shared.store.protocol import LONGEST_WAKE
from shared.store.slots import CLAIM, FIRST_EDITION_CLAIM, INDEX_LASTS, Index
from shared.sweep_queue import due_slots
from tests.timer_worker.table_recorder import TableRecorder
from timer_worker.sweep import Sweep

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(minutes=5)
EVERY = timedelta(minutes=60)
ABSENT_AFTER = timedelta(minutes=5)
SIGN_IN_AT = T0
SWEEP_AT = T0 + timedelta(minutes=4)  # the sweep comes when yesterday's hint is due and the newcomer is not
AFTER_THE_CLAIM = SWEEP_AT + CLAIM + timedelta(seconds=10)
NEVER = INDEX_LASTS + 4 * EVERY
NEWCOMER, RESIDENT = "newcomer", "resident"
SLOT = "00"

Actor = Generator[None]
Renewal = Generator[None, None, Slot | None]


class DueList(NamedTuple):
    """A row of the table Due. `maker` tells it from others like it."""

    time: datetime
    keys: tuple[str, ...]
    woken: bool
    maker: str


@dataclass
class World:
    """A store with one slot in use, its lists, and the time.

    Attributes:
        intruders: sweeps that began a turn while the slot was another's.
    """

    store: MemoryAccountStore = field(default_factory=MemoryAccountStore)
    lists: set[DueList] = field(default_factory=set)
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
        other = World(now=self.now, lists=set(self.lists))
        for account in self.accounts:
            other.store.save(replace(account, etag=None))
        other.store.write_slot(replace(self.slot, etag=None))
        return other

    def begin_turn(self, owner: str) -> None:
        """Notes it when the slot is another's."""
        if self.slot.is_claimed(self.now) and self.slot.claim_owner != owner:
            self.intruders.append(owner)


def first_world(*, indexed: bool = True) -> World:
    """The resident has been due for a tick. Without `indexed`, no sweep of ours has come by yet."""
    world = World()
    world.store.save(Account(account_id=in_slot(RESIDENT), due_at=T0 - TICK))
    world.store.lower_hint(SLOT, T0 - TICK)
    if indexed:
        world.store.write_slot(replace(world.slot, index=Index(1, T0)))
        world.lists.add(DueList(T0 - TICK, (in_slot(RESIDENT),), woken=False, maker="before"))
    return world


def resting_world() -> World:
    """The resident is due in an hour, and the slot now."""
    world = first_world()
    (resident,) = world.accounts
    world.store.touch(replace(resident, due_at=T0 + EVERY))
    world.lists = {DueList(T0 + EVERY, (resident.account_id,), woken=False, maker="before")}
    return world


@functools.cache
def in_slot(name: str) -> str:
    """An account id that falls into SLOT."""
    return next(f"{name}-{n}" for n in range(10_000) if slot_of(f"{name}-{n}") == SLOT)


def lower(world: World, due_at: datetime, *, first_edition: bool = False) -> Actor:
    """AccountStore.lower_hint: the slot is read, then written with its ETag, again when it moved. The first edition
    writes a row of its own making."""
    while True:
        known = world.slot
        yield
        lowered = known.lower(due_at)
        if first_edition:
            lowered = Slot(SLOT, lowered.next_due_at, known.etag, claimed_until=known.claimed_until)
        if world.store.write_slot(lowered):
            return
        yield


def wake(world: World, account: Account, *, swap: str = "") -> Actor:
    """AccountStore.wake: the list, the row, and the hint. Raises Conflict."""

    if swap == "hint first":
        yield from lower(world, account.due_at)
        yield
    if swap == "row first":
        world.store.save(account)
        yield
    listed_at = None
    while listed_at is None or (world.now - listed_at > LONGEST_WAKE / 6 and swap != "however late"):
        listed_at = world.now
        world.lists.add(DueList(account.due_at, (account.account_id,), woken=True, maker=f"a wake at {listed_at}"))
        yield
    if swap != "row first":
        world.store.save(account)
    if swap != "hint first":
        yield
        yield from lower(world, account.due_at)


def sign_in(world: World, at: datetime, *, swap: str = "", first_edition: bool = False) -> Actor:
    """Enrolment.save_sign_in of a newcomer. The first edition makes no list."""
    world.now = max(world.now, at)
    account = Account(account_id=in_slot(NEWCOMER), due_at=at + ABSENT_AFTER, last_activity=at)
    yield
    if first_edition:
        world.store.save(account)
        yield
        yield from lower(world, account.due_at, first_edition=True)
    else:
        yield from wake(world, account, swap=swap)


def be_woken(world: World, at: datetime, *, swap: str = "") -> Actor:
    """Access, which finds that the resident must sign in again: they are due at once. When the row has moved it is read
    again."""
    world.now = max(world.now, at)
    while True:
        known = world.store.get(in_slot(RESIDENT))
        assert known
        yield
        try:
            yield from wake(world, replace(known, due_at=at), swap=swap)
        except Conflict:
            yield
        else:
            return


def be_active(world: World, at: datetime) -> Actor:
    """Access: a request notes that the resident is here. Being due later writes no hint."""
    world.now = max(world.now, at)
    known = world.store.get(in_slot(RESIDENT))
    assert known
    yield
    try:
        world.store.touch(replace(known, due_at=max(known.due_at, at + ABSENT_AFTER), last_activity=at))
    except Conflict:
        return


def renew(world: World, held: Slot, replaced: set[str]) -> Renewal:
    """Claim._renew: the claim's row, or None when it was lost; notes in `replaced` that it was the first edition's."""
    known = held
    while True:
        renewed = world.store.write_slot(known.renew(held.claim_owner, world.now))
        if renewed:
            return renewed
        yield
        known = world.slot
        replaced.add("by the first edition" if not known.claim_owner else "")
        if not known.is_still_of(held, world.now):
            return None
        yield


def sweep(  # noqa: C901 - the whole of it in one place, step by step
    world: World, at: datetime, owner: str = "a sweep", *, swap: str = ""
) -> Actor:
    """timer_worker.sweep, claim and SlotPass: read, claim, make lists, read them and the rows, renew, look at the
    claim, save, look up whom nobody noted, add lists and delete those that were read, read the first one, finish."""
    world.now = max(world.now, at)
    slot = world.slot
    replaced: set[str] = set()
    while True:
        blind = swap == "by the hint alone" and slot.next_due_at <= world.now
        if not (blind or slot.is_due(world.now, world.now)):
            return
        yield
        index = slot.index
        if swap == "mark first":
            slot = replace(slot, index=Index(0, world.now))
        claim = world.store.write_slot(slot.claim(owner, world.now))
        if claim:
            break
        yield
        slot = world.slot
    began, latest = world.now, world.now + EVERY
    if index is None or not index.is_good(world.now):
        yield
        times = [(each.due_at, each.account_id) for each in world.accounts]
        index = Index(len(times), began)
        yield
        world.lists |= {DueList(time, (key,), woken=False, maker=f"{owner} anew") for time, key in times}
    yield
    read = {each for each in world.lists if each.time <= began}
    keys = {key: any(each.woken for each in read if key in each.keys) for each in read for key in each.keys}
    yield
    due = [each for each in world.accounts if each.account_id in keys and each.due_at <= began]
    yield
    held = yield from renew(world, claim, replaced)
    yield
    while held and not held.is_claimed(world.now) and swap != "without a look":
        held = yield from renew(world, held, replaced)
        yield
    if held is None and swap != "without a look":
        return
    held = held or claim
    world.begin_turn(owner)
    saved = world.store.save_many([replace(each, due_at=latest, last_swept_at=world.now) for each in due])
    noted = {each.account_id: each.due_at for each in saved if isinstance(each, Account)}
    yield
    while held and not held.is_claimed(world.now):
        held = yield from renew(world, held, replaced)
        yield
    if held is None:
        return
    known = {each.account_id: each.due_at for each in world.accounts}
    for key, woken in keys.items():
        time = known.get(key)
        if woken and swap != "without a second look":
            time = min(time or latest, began + LONGEST_WAKE)
        if time and key not in noted:
            noted[key] = time
    added = {DueList(time, (key,), woken=False, maker=owner) for key, time in noted.items()}
    yield
    if swap == "delete first":
        world.lists -= read
        yield
    world.lists |= added
    if swap == "add first":  # as when they fit into no transaction
        yield
    world.lists -= read
    yield
    target = min([latest, *(each.time for each in world.lists)])
    if swap == "renew late":
        yield
        held = (yield from renew(world, held, replaced)) or held
    row = held
    while True:
        yield
        if swap == "finish blindly":
            row = replace(row, etag=world.slot.etag)
        marked = replace(
            row, index=None if "by the first edition" in replaced and swap != "mark a replaced row" else index
        )
        if world.store.write_slot(marked.release(target, finished=target > began)):
            return
        yield
        row = world.slot
        if not row.is_still_of(held, world.now):
            return
        replaced.add("by the first edition" if not row.claim_owner else "")
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
    earliest = world.store.next_due(SLOT)
    yield
    world.store.write_slot(Slot(SLOT, min(earliest or latest, latest), claim.etag))


def at_once(actor: Actor) -> Actor:
    """The same in one step, to see what others do that are paused for longer than it takes."""
    yield
    for _ in actor:
        pass


Scenario = Callable[[World], list[Actor]]


def states(scenario: Scenario, begin: Callable[[], World]) -> Iterator[tuple[World, bool]]:
    """Every state that an order of steps reaches, and whether every actor has ended by itself."""
    seen = set()
    orders: list[tuple[int, ...]] = [()]
    while orders:
        order = orders.pop()
        world = begin()
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
    return repr((world.now, world.intruders, replace(world.slot, etag=None), rows, sorted(world.lists)))


def memory_of(actor: Actor, world: World) -> str:
    """Where an actor is, and what it knows. Of an ETag only whether it is still the row's: none comes back."""
    known = []
    inner: Any = actor
    while inner is not None and inner.gi_frame:
        local = {name: value for name, value in inner.gi_frame.f_locals.items() if name not in ("world", "actor")}
        known.append((inner.gi_frame.f_lasti, local))
        inner = inner.gi_yieldfrom
    current = {world.slot.etag, *(each.etag for each in world.accounts)}
    return re.sub(r'W/"\d+"', lambda tag: "current" if tag[0] in current else "old", repr(known))


def lateness(world: World) -> dict[str, timedelta]:
    """How late each person is swept, by clean sweeps a minute from now and at each tick after that, and later once per
    interval; NEVER when even the lists that are made anew hold nobody of that name."""
    due = {each.account_id: each.due_at for each in world.accounts}
    swept: dict[str, datetime] = {}
    start = world.now + TICK / 5
    soon = [tick * TICK for tick in range(int(3 * EVERY / TICK))]
    for after in [*soon, *(each * EVERY for each in range(4, int(NEVER / EVERY)))]:
        before = {each.account_id: each.last_swept_at for each in world.accounts}
        for _ in sweep(world, start + after, f"tick {after}"):
            pass
        for account in world.accounts:
            if account.last_swept_at != before[account.account_id]:
                swept.setdefault(account.account_id, world.now)
        if len(swept) == len(due):
            break
    return {key: swept.get(key, at + NEVER) - at for key, at in due.items()}


@dataclass
class Found:
    """What a search found.

    Attributes:
        intruders: sweeps that ever began a turn while the slot was another's.
        latest: how late anybody was swept at worst, by name.
        latest_without_crashes: the same, when every actor had ended by itself.
    """

    tried: int = 0
    intruders: set[str] = field(default_factory=set)
    latest: dict[str, timedelta] = field(default_factory=dict)
    latest_without_crashes: dict[str, timedelta] = field(default_factory=dict)


def search(scenario: Scenario, *, crashes: bool = True, begin: Callable[[], World] = first_world) -> Found:
    """Visits the states, and lets clean sweeps follow each; without crashes, those in which every actor has ended."""
    found = Found()
    known: dict[str, dict[str, timedelta]] = {}
    for world, all_ended in states(scenario, begin):
        found.tried += 1
        found.intruders.update(world.intruders)
        if not all_ended and not crashes:
            continue
        stored = facts(world)
        if stored not in known:
            known[stored] = {key.partition("-")[0]: late for key, late in lateness(world.copy()).items()}
        for latest in [found.latest, *([found.latest_without_crashes] if all_ended else [])]:
            for name, late in known[stored].items():
                latest[name] = max(late, latest.get(name, late))
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
    assert max(found.latest_without_crashes.values()) <= CLAIM + LONGEST_WAKE + TICK, (
        "what the order of writes guarantees"
    )


@pytest.mark.parametrize(
    ("at", "first_edition"),
    [(SWEEP_AT, False), (SWEEP_AT, True), (AFTER_THE_CLAIM, True)],
    ids=["its sweep", "its sweep and sign-in", "its sweep, later, and sign-in"],
)
def test_an_instance_of_the_first_edition_beside_loses_nobody(at: datetime, *, first_edition: bool) -> None:
    """It replaces rows, and its claims last longer. It makes no lists: when it dies between a person's row and the
    slot's, that person waits for the lists that are made anew each day."""

    def scenario(world: World) -> list[Actor]:
        return [
            sign_in(world, SIGN_IN_AT, first_edition=first_edition),
            sweep(world, SWEEP_AT, "one"),
            sweep_of_the_first_edition(world, at),
        ]

    found = search(scenario)
    assert found.tried > 400
    assert max(found.latest_without_crashes.values()) <= EVERY + TICK
    assert max(found.latest.values()) <= (INDEX_LASTS if first_edition else timedelta(0)) + EVERY + TICK


def test_a_table_of_the_first_edition_is_listed_by_its_first_sweeps() -> None:
    """While instances of both editions sweep, and somebody signs in, wherever one of them crashes."""
    found = search(
        lambda world: [
            sign_in(world, SIGN_IN_AT),
            sweep(world, SWEEP_AT, "one"),
            at_once(sweep_of_the_first_edition(world, AFTER_THE_CLAIM)),
        ],
        begin=lambda: first_world(indexed=False),
    )
    assert found.tried > 500
    assert max(found.latest.values()) <= EVERY + TICK


def test_whoever_is_woken_while_sweeps_are_at_work_is_swept_soon() -> None:
    """However long one of the two was paused. A wake that crashed before its hint is found in its interval."""

    def scenario(world: World) -> list[Actor]:
        return [
            be_woken(world, SWEEP_AT),
            sweep(world, SWEEP_AT, "one", swap="add first"),
            at_once(sweep(world, AFTER_THE_CLAIM, "two")),
        ]

    found = search(scenario, begin=resting_world)
    assert found.tried > 500
    assert found.intruders == set()
    assert max(found.latest.values()) <= EVERY + TICK
    assert max(found.latest_without_crashes.values()) <= CLAIM + LONGEST_WAKE + TICK


@pytest.mark.parametrize("swap", ["hint first", "finish blindly", "renew late"])
def test_swapping_two_steps_of_the_protocol_is_seen(swap: str) -> None:
    """The hint before the row, a finish without the claim's ETag, or a claim renewed after the earliest due time was
    read: then a person waits a whole interval."""
    found = search(
        lambda world: [
            sign_in(world, SIGN_IN_AT, swap=swap),
            sweep(world, SWEEP_AT, "one", swap=swap),
        ],
        crashes=False,
    )
    assert max(found.latest.values()) > CLAIM + LONGEST_WAKE + TICK


@pytest.mark.parametrize("swap", ["row first", "delete first", "mark first"])
def test_swapping_two_writes_of_the_lists_is_seen(swap: str) -> None:
    """The row before its list, old lists deleted before the new ones are there, or the mark before the lists: after a
    crash nobody comes for a day."""
    found = search(
        lambda world: [
            sign_in(world, SIGN_IN_AT, swap=swap),
            sweep(world, SWEEP_AT, "one", swap=swap),
        ],
        begin=lambda: first_world(indexed=swap != "mark first"),
    )
    assert max(found.latest.values()) > INDEX_LASTS - EVERY


@pytest.mark.parametrize("swap", ["without a second look", "however late"])
def test_forgetting_a_wake_that_is_on_its_way_is_seen(swap: str) -> None:
    """A sweep that looks at its list once, or a wake that saves its row however long ago it made its list."""
    found = search(
        lambda world: [
            be_woken(world, SWEEP_AT, swap=swap),
            sweep(world, SWEEP_AT, "one", swap=swap),
            *([at_once(sweep(world, SWEEP_AT + 2 * LONGEST_WAKE, "two"))] if swap == "however late" else []),
        ],
        begin=resting_world,
        crashes=False,
    )
    assert max(found.latest.values()) > CLAIM + LONGEST_WAKE + TICK


def test_marking_a_row_that_the_first_edition_replaced_is_seen() -> None:
    """It has saved somebody who is in no list."""
    found = search(
        lambda world: [
            sign_in(world, SIGN_IN_AT, first_edition=True),
            sweep(world, SWEEP_AT, "one", swap="mark a replaced row"),
        ],
        crashes=False,
    )
    assert max(found.latest.values()) > INDEX_LASTS - EVERY


def test_a_sweep_that_goes_by_the_hint_alone_is_seen() -> None:
    """Somebody lowers the hint while another sweep is at work."""

    def scenario(world: World) -> list[Actor]:
        return [
            sign_in(world, SIGN_IN_AT - ABSENT_AFTER),
            sweep(world, SWEEP_AT, "one"),
            sweep(world, SWEEP_AT, "two", swap="by the hint alone"),
        ]

    assert any(world.intruders for world, _ in states(scenario, first_world))


def test_a_sweep_that_does_not_look_at_its_claim_after_a_pause_is_seen() -> None:
    """It would begin turns beside the sweep that came by meanwhile."""
    found = search(
        lambda world: [
            sweep(world, SWEEP_AT, "one", swap="without a look"),
            sweep(world, AFTER_THE_CLAIM, "two"),
        ]
    )
    assert found.intruders


def test_lowering_without_writing_is_seen() -> None:
    """`lower_hint` must always write: a hint that is already low enough would not stop a finish that scanned before the
    row."""
    world = first_world()
    sweeping = sweep(world, SWEEP_AT)
    while not any(each.maker == "a sweep" for each in world.lists):
        next(sweeping)
    next(sweeping)  # it has read the first list
    signing_in = sign_in(world, SWEEP_AT)
    while len(world.accounts) < 2:
        next(signing_in)  # the row is written; the hint, at the claim's end, is low enough: a lazy one would stop here
    for _ in sweeping:
        pass
    assert max(lateness(world).values()) > CLAIM + LONGEST_WAKE + TICK


def test_the_real_code_keeps_this_order(
    make_services: Callable[..., Services], azurite: Azurite, tables: TableServiceClient
) -> None:
    """What a real wake and a real sweep ask of the storage, in the model's order. tests of claims hold the real
    renewals to it."""
    with TableRecorder(azurite.connection_string, tables) as road, road.client() as client:
        app = make_services(store=TableAccountStore(client))
        app.store.slots()
        for steps in (LISTS_MADE, LISTS_KEPT):
            known = app.store.get(in_slot(RESIDENT))
            due = replace(known or Account(account_id=in_slot(RESIDENT)), due_at=app.now() - TICK)
            road.forget()
            app.store.wake(due)
            assert road.log[:3] == ["POST Due", "POST Accounts", "GET Slots"]
            assert road.log[3:] in (["POST Slots"], ["PUT Slots"])
            road.forget()
            Sweep(app, tasks=()).run(due_slots(app.store, app.now())[:1])
            assert road.log == steps


LISTS_KEPT = [
    *("GET Slots", "PUT Slots"),
    *("GET Due", "GET Accounts", "POST Accounts", "POST Due", "GET Due"),
    *("PUT Slots", "POST Sweeps"),
]
LISTS_MADE = [*LISTS_KEPT[:2], "GET Accounts", "POST Due", *LISTS_KEPT[2:]]
