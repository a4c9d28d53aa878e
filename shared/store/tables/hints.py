"""The table Slots: for each slot a lower bound of its rows' `DueAt`, guarded by its ETag. See protocol.py for the order
in which hints and accounts are written."""

import secrets
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.data.tables import TableClient, UpdateMode

from shared.accounts import EPOCH, all_slots
from shared.errors import Conflict, StoreUnavailable
from shared.store.protocol import Slot
from shared.store.tables.rows import WRITE_ID, Entity, time_or_none
from shared.store.tables.service import Tables, entity_or_none, etag_of, may_be_committed

_PARTITION = "slots"
_MOST_TRIES = 50  # to lower a hint; each that fails was somebody else's success


def read_all(tables: Tables) -> list[Slot]:
    """See AccountStore.slots."""
    query: dict[str, Any] = {"query_filter": "PartitionKey eq @slots", "parameters": {"slots": _PARTITION}}
    rows = tables.call("read slots", lambda: list(tables.slots.query_entities(**query)))
    known = {row["RowKey"]: _read(row) for row in rows}
    return [known.get(name, Slot(name, EPOCH)) for name in all_slots()]


def lower(tables: Tables, slot: str, due_at: datetime) -> None:
    """See AccountStore.lower_hint. Raises StoreUnavailable when the row never stays as it was read."""
    for _ in range(_MOST_TRIES):
        row = _row(tables, slot)
        known = _read(row) if row else Slot(slot, EPOCH)
        lowest = min(known.next_due_at, due_at) if known.etag else due_at
        if move(tables, known, lowest, known.claimed_until):
            return
    raise StoreUnavailable("write slot", 412, "the row kept changing")


def move(tables: Tables, slot: Slot, next_due_at: datetime, claimed_until: datetime | None) -> Slot | None:
    """See AccountStore.set_hint. A write whose answer was lost is known by its `WriteId`: a claim that we hold and
    don't know of would keep everybody out of the slot."""
    write_id = secrets.token_hex(12)
    entity: Entity = {
        "PartitionKey": _PARTITION,
        "RowKey": slot.name,
        "NextDueAt": next_due_at,
        WRITE_ID: write_id,
    }
    if claimed_until:
        entity["ClaimedUntil"] = claimed_until
    try:
        etag = tables.call("write slot", lambda: _insert_or_replace(tables.slots, entity, slot.etag), key=slot.name)
    except (Conflict, StoreUnavailable) as error:
        if isinstance(error, StoreUnavailable) and not may_be_committed(error):
            raise
        row = _row(tables, slot.name)
        if row is None or row.get(WRITE_ID) != write_id:
            if isinstance(error, Conflict):
                return None
            raise
        etag = etag_of(row.metadata)
    return Slot(slot.name, next_due_at, etag, claimed_until)


def _insert_or_replace(table: TableClient, entity: Entity, etag: str | None) -> str:
    """Writes a whole row that is still as `etag` says; None: that must not exist yet. Returns its new ETag."""
    if etag is None:
        return etag_of(table.create_entity(entity))
    unchanged = MatchConditions.IfNotModified
    return etag_of(table.update_entity(entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=unchanged))


def _row(tables: Tables, name: str) -> Any:
    return tables.call("read slot", lambda: entity_or_none(tables.slots, _PARTITION, name), key=name)


def _read(row: Any) -> Slot:
    """A row without a time counts as due. What is no time counts as absent: one bad row must not stop a tick."""
    next_due_at = time_or_none(row.get("NextDueAt")) or EPOCH
    return Slot(row["RowKey"], next_due_at, etag_of(row.metadata), time_or_none(row.get("ClaimedUntil")))
