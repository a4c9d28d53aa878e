"""The table Slots: for each slot a lower bound of its rows' `DueAt`, guarded by its ETag. See protocol.py for the order
in which hints and accounts are written."""

from datetime import datetime
from typing import Any

from shared.accounts import EPOCH, all_slots
from shared.errors import Conflict
from shared.store.protocol import Slot
from shared.store.rows import Entity
from shared.store.tables import Tables, entity_or_none, etag_of, insert_or_replace

_PARTITION = "slots"


def all_hints(tables: Tables) -> list[Slot]:
    """See AccountStore.slots."""
    query: dict[str, Any] = {"query_filter": "PartitionKey eq @slots", "parameters": {"slots": _PARTITION}}
    rows = tables.call("read slots", lambda: list(tables.slots.query_entities(**query)))
    known = {row["RowKey"]: _read(row) for row in rows}
    return [known.get(name, Slot(name, EPOCH)) for name in all_slots()]


def lower(tables: Tables, slot: str, due_at: datetime) -> None:
    """See AccountStore.lower_hint."""
    while True:
        known = _hint(tables, slot)
        lowest = min(known.next_due_at, due_at) if known.etag else due_at
        if move(tables, known, lowest, known.claimed_until):
            return


def move(tables: Tables, slot: Slot, next_due_at: datetime, claimed_until: datetime | None) -> Slot | None:
    """See AccountStore.set_hint."""
    entity: Entity = {"PartitionKey": _PARTITION, "RowKey": slot.name, "NextDueAt": next_due_at}
    if claimed_until:
        entity["ClaimedUntil"] = claimed_until
    try:
        etag = tables.call("write slot", lambda: insert_or_replace(tables.slots, entity, slot.etag), key=slot.name)
    except Conflict:
        return None
    return Slot(slot.name, next_due_at, etag, claimed_until)


def _hint(tables: Tables, name: str) -> Slot:
    row = tables.call("read slot", lambda: entity_or_none(tables.slots, _PARTITION, name), key=name)
    return _read(row) if row else Slot(name, EPOCH)


def _read(row: Any) -> Slot:
    return Slot(row["RowKey"], row["NextDueAt"], etag_of(row.metadata), row.get("ClaimedUntil"))
