"""The table Slots: one row per slot, with a lower bound of its rows' `DueAt`, the claim of the sweep that is at work in
it, and the mark of its due lists, guarded by its ETag. See protocol.py for the order in which they are written."""

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.data.tables import TableClient, UpdateMode

from shared.accounts import EPOCH, all_slots
from shared.errors import Conflict, StoreUnavailable
from shared.store.slots import FIRST_EDITION_CLAIM, Index, Slot
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
        if write(tables, (_read(row) if row else Slot(slot, EPOCH)).lower(due_at)):
            return
    raise StoreUnavailable("write slot", 412, "the row kept changing")


def write(tables: Tables, slot: Slot) -> Slot | None:
    """See AccountStore.write_slot. A write whose answer was lost is known by its `WriteId`: a claim that we hold and
    don't know of would keep everybody out of the slot.

    The row is replaced, so that nothing of a claim is left when it ends. An instance of the first edition replaces it
    as well, by one with `NextDueAt` and `ClaimedUntil`: whatever else we keep in the row is gone then.
    """
    write_id = secrets.token_hex(12)
    entity: Entity = {
        "PartitionKey": _PARTITION,
        "RowKey": slot.name,
        "NextDueAt": slot.next_due_at,
        WRITE_ID: write_id,
    }
    others = {
        "ClaimOwner": slot.claim_owner or None,
        "ClaimedUntil": slot.claimed_until,
        "FirstClaimedAt": slot.first_claimed_at,
        "Indexed": slot.index.rows if slot.index else None,
        "IndexedAt": slot.index.made_at if slot.index else None,
    }
    entity |= {name: value for name, value in others.items() if value is not None}
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
    return replace(slot, etag=etag)


def _insert_or_replace(table: TableClient, entity: Entity, etag: str | None) -> str:
    """Writes a whole row that is still as `etag` says; None: that must not exist yet. Returns its new ETag."""
    if etag is None:
        return etag_of(table.create_entity(entity))
    unchanged = MatchConditions.IfNotModified
    return etag_of(table.update_entity(entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=unchanged))


def _row(tables: Tables, name: str) -> Any:
    return tables.call("read slot", lambda: entity_or_none(tables.slots, _PARTITION, name), key=name)


def _read(row: Any) -> Slot:
    """A row without a time counts as due. What is no time, or no name, counts as absent: one bad row must not stop a
    tick. A claim of the first edition notes no start, only when the first in a row of claims ran out."""
    owner, until = row.get("ClaimOwner"), time_or_none(row.get("ClaimedUntil"))
    owner = owner if isinstance(owner, str) else ""
    first = time_or_none(row.get("FirstClaimedAt"))
    rows, made_at = row.get("Indexed"), time_or_none(row.get("IndexedAt"))
    if until and not owner:
        first = max(until, EPOCH + FIRST_EDITION_CLAIM) - FIRST_EDITION_CLAIM
    return Slot(
        name=row["RowKey"],
        next_due_at=time_or_none(row.get("NextDueAt")) or EPOCH,
        etag=etag_of(row.metadata),
        claim_owner=owner,
        claimed_until=until,
        first_claimed_at=first,
        index=Index(rows, made_at) if type(rows) is int and rows >= 0 and made_at else None,
    )
