"""Sweeps by lists: what they cost is what those cost who are due; and no account is missing from the lists."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from localdev.azurite import Azurite
from shared.accounts import Account, Attempt, Outcome, slot_of
from shared.services import Services
from shared.store import Slot, TableAccountStore
from shared.store.slots import INDEX_LASTS, Index
from shared.sweep_queue import due_slots
from tests.running_app import Clock
from tests.timer_worker.table_recorder import TableRecorder
from timer_worker.sweep import Sweep

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@dataclass
class Scene:
    """An app on a storage that notes what it is asked."""

    app: Services
    road: TableRecorder
    tables: TableServiceClient
    clock: Clock

    def sweep(self) -> int:
        """Sweeps the slots that are due. How many had their turn."""
        self.road.forget()
        record = Sweep(self.app, tasks=()).run(due_slots(self.app.store, self.clock(), sweep_every=99 * HOUR))
        assert record is None or record.stopped == ""
        return record.people if record else 0

    def store(self, first: int, end: int, *, due_in: timedelta) -> list[Account]:
        """People of slot 00 whose caches can't be opened, so that no token is requested. No list has them."""
        names = [name for name in (f"somebody-{number}" for number in range(100_000)) if slot_of(name) == "00"]
        due_at = self.clock() + due_in
        people = [Account(account_id=name, due_at=due_at, last_activity=due_at) for name in names[first:end]]
        return [each for each in self.app.store.save_many(people) if isinstance(each, Account)]

    def put_slot(self, **properties: object) -> None:
        """Writes slot 00's row as the first edition does: with these properties alone."""
        row = {"PartitionKey": "slots", "RowKey": "00"} | properties
        self.tables.get_table_client("Slots").upsert_entity(row, mode=UpdateMode.REPLACE)

    def lose_lists(self) -> None:
        """Deletes all lists."""
        for row in self.tables.get_table_client("Due").list_entities():
            self.tables.get_table_client("Due").delete_entity(row)

    def turns(self) -> set[int]:
        """How many turns each person has had."""
        found = self.app.store.due("00", self.clock() + 99 * HOUR)
        return {len(each.recent) for page in found for each in page}

    @property
    def slot(self) -> Slot:
        """Slot 00."""
        return self.app.store.slots()[0]


@pytest.fixture
def scene(make_services: Callable[..., Services], azurite: Azurite, tables: TableServiceClient) -> Iterator[Scene]:
    """An empty storage account. Only slot 00 is due."""
    clock = Clock()
    with TableRecorder(azurite.connection_string, tables) as road, road.client() as client:
        made = Scene(make_services(clock=clock, store=TableAccountStore(client)), road, tables, clock)
        for slot in made.app.store.slots()[1:]:
            made.app.store.write_slot(replace(slot, next_due_at=clock() + 99 * HOUR))
        yield made


def test_one_who_is_due_costs_the_same_however_many_are_stored(scene: Scene) -> None:
    """Rows that the storage looks at, and requests: in a slot with 10 accounts, and in one with 1,000."""
    costs = []
    for first, end in ((0, 10), (10, 1000)):
        ada = scene.store(first, end, due_in=12 * HOUR)[-1]
        scene.put_slot()
        assert scene.sweep() == 0
        assert scene.slot.index == Index(end, scene.clock())
        scene.app.store.wake(replace(ada, due_at=scene.clock()))
        assert scene.sweep() == 1
        costs.append((dict(scene.road.rows), list(scene.road.log)))
    assert costs[0] == costs[1]
    rows, requests = costs[1]
    assert rows == {"Slots": 16, "Due": 2, "Accounts": 1}
    assert len(requests) - len(["GET Slots", "POST Sweeps"]) <= 7 + 1, "for the slot, and for the person"


def test_when_many_are_due_their_slot_is_scanned(scene: Scene) -> None:
    """Requests per person are few."""
    scene.store(0, 300, due_in=-SECOND)
    assert scene.sweep() == 300
    scene.clock.move(hours=1)
    assert scene.sweep() == 300
    assert len(scene.road.log) <= 0.08 * 300


def test_a_slot_whose_mark_is_deleted_is_listed_anew_by_the_next_sweep(scene: Scene) -> None:
    """Its lists were lost. Each person has one turn, and those who are not due have none."""
    scene.store(0, 30, due_in=-SECOND)
    scene.store(30, 60, due_in=HOUR)
    assert scene.sweep() == 30
    scene.lose_lists()
    row = dict(scene.tables.get_table_client("Slots").get_entity("slots", "00"))
    del row["Indexed"]
    scene.put_slot(**row | {"NextDueAt": scene.clock()})
    assert scene.sweep() == 0
    scene.clock.move(hours=1, seconds=1)
    assert scene.sweep() == 60
    assert scene.turns() == {1, 2}


def test_lists_that_are_lost_cost_nobody_more_than_a_day(scene: Scene) -> None:
    """Whoever deleted them: the mark lasts a day."""
    scene.store(0, 30, due_in=-SECOND)
    assert scene.sweep() == 30
    scene.lose_lists()
    for _ in range(INDEX_LASTS // HOUR - 1):
        scene.clock.move(hours=1)
        assert scene.sweep() == 0
    scene.clock.move(hours=1)
    assert scene.sweep() == 30
    scene.clock.move(hours=1)
    assert scene.sweep() == 30


def test_a_table_of_the_first_edition_is_listed_while_its_instances_go_on(scene: Scene) -> None:
    """They sign people in and sweep beside ours. Nobody is left out, and nobody has two turns in an interval."""
    scene.store(0, 30, due_in=-SECOND)
    scene.put_slot(NextDueAt=scene.clock())
    assert scene.sweep() == 30
    assert scene.slot.index == Index(30, scene.clock())

    scene.store(30, 31, due_in=timedelta(minutes=6))  # a sign-in there: the row, and then the slot's
    scene.put_slot(NextDueAt=scene.clock() + timedelta(minutes=6))
    scene.clock.move(minutes=6)
    assert scene.sweep() == 1
    assert scene.slot.index == Index(31, scene.clock())

    scene.clock.move(hours=1)  # a sweep there
    theirs = [each for page in scene.app.store.due("00", scene.clock()) for each in page]
    until = scene.clock() + timedelta(minutes=10)
    scene.put_slot(NextDueAt=until, ClaimedUntil=until)
    assert scene.sweep() == 0
    turn = Attempt(scene.clock(), Outcome.UNREADABLE)
    scene.app.store.save_many(
        [replace(each, due_at=scene.clock() + HOUR, recent=(turn, *each.recent)) for each in theirs]
    )
    scene.put_slot(NextDueAt=scene.clock() + HOUR)
    assert scene.sweep() == 0
    scene.clock.move(hours=1)
    assert scene.sweep() == 31
    assert scene.turns() == {3}


def test_a_person_whose_row_is_gone_leaves_the_lists(scene: Scene) -> None:
    """With the next pass over them."""
    people = scene.store(0, 30, due_in=-SECOND)
    assert scene.sweep() == 30
    for each in people:
        scene.app.store.delete(each.account_id)
    scene.clock.move(hours=1)
    assert scene.sweep() == 0
    assert list(scene.tables.get_table_client("Due").list_entities()) == []
