"""The table Due: lists of the accounts that are due at a time, so that a sweep reads those and nobody else.

PartitionKey is the slot. RowKey is the earliest due time in the list (UTC, to the microsecond: the service's order is
that of time), and something random. `Keys` has the accounts' row keys, one per line: no key has a line break
("Understanding the Table service data model"). `Woken` marks the list that `AccountStore.wake` made. A list is never
changed: a sweep makes new ones and deletes those that it read.
"""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from azure.data.tables import UpdateMode

from shared.errors import Conflict, StoreUnavailable
from shared.store.tables import wire
from shared.store.tables.rows import MAKES_NO_SENSE
from shared.store.tables.service import Tables, equals, may_be_committed, quoted

MOST_KEYS = 400
_MOST_CHARACTERS = 30 * 1024  # a table's text is UTF-16 and has 64 KiB
_LISTS_PER_PAGE = 50
_MOST_OPERATIONS = 100
_MOST_BATCH_BYTES = 4 * 1024 * 1024 - 64 * 1024
_BEHIND_EVERY_TIME = ":"
_MOST_TRIES = 6
_READ, _WRITE = "read due lists", "write due lists"

Operation = tuple[str, wire.Part]
"""Of a transaction, with the name of the list that it deletes, or ""."""


@dataclass(frozen=True, slots=True)
class DueList:
    """Some accounts of a slot.

    Attributes:
        name: its RowKey.
        keys: the accounts' row keys.
        woken: somebody made its account due, and saves the account's row after the list.
    """

    name: str
    keys: tuple[str, ...]
    woken: bool


def add(tables: Tables, slot: str, key: str, due_at: datetime) -> None:
    """Adds a list with one account that is about to be due at `due_at`. Raises StoreUnavailable."""
    (entity,) = _lists(slot, {key: due_at})
    tables.insert(_WRITE, tables.due, entity | {"Woken": True})


def read(tables: Tables, slot: str, now: datetime) -> Iterator[DueList]:
    """Yields the slot's lists whose time has come. Raises StoreUnavailable."""
    query = f"{equals('PartitionKey', slot)} and RowKey lt '{_name(now + timedelta.resolution)}'"
    place: wire.Place | None = {}
    while place is not None:
        page = partial(wire.read_page, tables.due, query, top=_LISTS_PER_PAGE, select="RowKey,Keys,Woken", place=place)
        rows, place = tables.call(_READ, page, key=slot)
        for row in rows:
            keys = row.get("Keys")
            text = keys if isinstance(keys, str) else ""
            yield DueList(row["RowKey"], tuple(filter(None, text.split("\n"))), row.get("Woken") is True)


def first_time(tables: Tables, slot: str) -> datetime | None:
    """The time of the slot's first list; None when it has none. Raises StoreUnavailable."""
    query = f"{equals('PartitionKey', slot)} and RowKey lt '{_BEHIND_EVERY_TIME}'"
    rows, _ = tables.call(_READ, lambda: wire.first_rows(tables.due, query, top=1, select="RowKey"), key=slot)
    return _time(rows[0]["RowKey"]) if rows else None


def replace(tables: Tables, slot: str, due: Mapping[str, datetime], old: Collection[str]) -> None:
    """Writes lists of these accounts, and deletes the lists named in `old`: in one transaction, or in several, of which
    the earlier ones write. So nobody is ever in no list. Raises StoreUnavailable.

    Args:
        due: due times by row key.
    """
    operations: list[wire.Operation] = [("upsert", each, {"mode": UpdateMode.REPLACE}) for each in _lists(slot, due)]
    operations += [("delete", {"PartitionKey": slot, "RowKey": name}, {}) for name in old]
    for batch in _batches(tables, operations):
        _write(tables, slot, batch)


def _write(tables: Tables, slot: str, batch: list[Operation]) -> None:
    """Sends a transaction, again when its answer was lost, and without lists that are gone: an earlier try deleted
    them, or another sweep."""
    error: Conflict | StoreUnavailable = StoreUnavailable(_WRITE, 412, "the lists kept changing")
    for _ in range(_MOST_TRIES):
        try:
            tables.call(_WRITE, lambda: wire.submit(tables.due, [part for _, part in batch]))  # noqa: B023 - at once
        except Conflict:
            there = _names(tables, slot, [name for name, _ in batch if name])
            batch = [(name, part) for name, part in batch if not name or name in there]
        except StoreUnavailable as outage:
            if not may_be_committed(outage):
                raise
            error = outage
        else:
            return
        if not batch:
            return
    raise error


def _names(tables: Tables, slot: str, names: Sequence[str]) -> set[str]:
    """Which of these lists there are."""
    query = f"{equals('PartitionKey', slot)} and RowKey ge {quoted(min(names))} and RowKey le {quoted(max(names))}"

    def read() -> set[str]:
        pages = wire.pages(tables.due, query, lambda row: str(row["RowKey"]), top=_LISTS_PER_PAGE, select="RowKey")
        return {name for page in pages for name in page}

    return tables.call(_READ, read, key=slot)


def _batches(tables: Tables, operations: Sequence[wire.Operation]) -> Iterator[list[Operation]]:
    """As many operations and bytes as a transaction takes, in order."""
    batch: list[Operation] = []
    size = 0
    for operation in operations:
        part = wire.encode(tables.due, operation)
        if batch and (len(batch) == _MOST_OPERATIONS or size + len(part) > _MOST_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((operation[1]["RowKey"] if operation[0] == "delete" else "", part))
        size += len(part)
    if batch:
        yield batch


def _lists(slot: str, due: Mapping[str, datetime]) -> Iterator[dict[str, Any]]:
    """The accounts in as few lists as hold them. Those in one list are due in the same minute, so that few are looked
    at too early."""
    keys: list[str] = []
    size = 0
    first: datetime | None = None
    for key, time in sorted(due.items(), key=lambda each: each[1]):
        if not _is_utf_8(key):
            continue  # nothing can address this row
        full = len(keys) == MOST_KEYS or size + len(key) >= _MOST_CHARACTERS
        if first and (full or _minute(time) != _minute(first)):
            yield _entity(slot, first, keys)
            keys, size, first = [], 0, None
        first = first or time
        keys.append(key)
        size += len(key) + 1
    if first:
        yield _entity(slot, first, keys)


def _entity(slot: str, time: datetime, keys: Sequence[str]) -> dict[str, Any]:
    return {"PartitionKey": slot, "RowKey": f"{_name(time)}-{secrets.token_hex(6)}", "Keys": "\n".join(keys)}


def _is_utf_8(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _name(time: datetime) -> str:
    utc = time.astimezone(UTC)
    return f"{utc.year:04d}{utc:%m%d%H%M%S%f}"  # %Y writes fewer digits before the year 1000


def _minute(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)


def _time(name: str) -> datetime | None:
    """When a list is due; None when its name doesn't say."""
    try:
        parts = [int(name[:4]), *(int(name[start : start + 2]) for start in range(4, 14, 2)), int(name[14:20])]
        return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type] # seven numbers
    except MAKES_NO_SENSE:
        return None
