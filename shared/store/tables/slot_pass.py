"""One pass over the accounts of a slot that are due, by the lists of the table Due. See protocol.py for what the lists
promise."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from shared.accounts import Account
from shared.errors import StoreError
from shared.store.protocol import LONGEST_WAKE, OddRow
from shared.store.slots import Index, Slot
from shared.store.tables import due, first_edition, reading, wire
from shared.store.tables.rows import row_key, time_or_none
from shared.store.tables.service import ACCOUNTS, Tables, equals, time_literal, translated

ROWS_PER_PAGE = 100  # of a scan, as many as a transaction takes: what a sweep holds in memory at once, per slot
KEYS_PER_PAGE = 1000  # the most that the service gives
_FEW = 5  # are read one by one, however small the slot is
_DENSE = 20  # of a slot's accounts one in so many: then one scan is cheaper than reading them one by one

T = TypeVar("T")

logger = logging.getLogger(__name__)


class SlotPass:
    """See protocol.SlotPass.

    Attributes:
        index: the mark for the slot's row after this pass.
    """

    def __init__(self, tables: Tables, slot: Slot) -> None:
        self.index = slot.index
        self._tables = tables
        self._slot = slot.name
        self._lists: list[str] = []
        self._listed: dict[str, bool] = {}  # row keys that were not noted yet, and whether a wake's list has them
        self._noted: dict[str, datetime] = {}

    def pages(self, now: datetime, *, odd_until: datetime) -> Iterator[list[Account]]:
        """See protocol.SlotPass."""
        self._now, self._odd_until = now, odd_until
        if self.index is None or not self.index.is_good(now):
            self.index = self._make_lists()
        for each in due.read(self._tables, self._slot, now):
            self._lists.append(each.name)
            for key in each.keys:
                self._listed[key] = each.woken or self._listed.get(key, False)
        yield from self._scan() if self._is_dense(len(self._listed)) else self._read_one_by_one()

    def note(self, account: Account) -> None:
        """See protocol.SlotPass."""
        self._note(row_key(account.account_id), account.due_at)

    def complete(self) -> None:
        """See protocol.SlotPass."""
        known = self._look_up(list(self._listed))
        for key, woken in list(self._listed.items()):
            time = known.get(key)
            if woken:  # its row may be on its way
                soon = self._now + LONGEST_WAKE
                time = min(time, soon) if time else soon
            if time:
                self._note(key, time)
        due.replace(self._tables, self._slot, self._noted, self._lists)
        self._lists, self._noted = [], {}

    def next_due(self) -> datetime | None:
        """See protocol.SlotPass."""
        return due.first_time(self._tables, self._slot)

    def _note(self, key: str, time: datetime) -> None:
        self._listed.pop(key, None)
        self._noted[key] = time

    def _is_dense(self, count: int) -> bool:
        return count > _FEW and self.index is not None and count * _DENSE >= self.index.rows

    def _make_lists(self) -> Index:
        """Lists every account of the slot. What was listed before stays: it is looked at once too often."""
        times = dict(self._due_times())
        due.replace(self._tables, self._slot, times, ())
        logger.info("slot %s: listed %d accounts anew", self._slot, len(times))
        return Index(len(times), self._now)

    def _scan(self) -> Iterator[list[Account]]:
        count = 0
        for page in scan(self._tables, self._slot, until(self._slot, self._now), self._read):
            accounts = [account for account in page if account]
            count += len(accounts)
            yield accounts
        if self.index and count > self.index.rows:
            self.index = replace(self.index, rows=count)

    def _read_one_by_one(self) -> Iterator[list[Account]]:
        keys = list(self._listed)
        for start in range(0, len(keys), ROWS_PER_PAGE):
            found = (self._read(row) for key in keys[start : start + ROWS_PER_PAGE] if (row := self._row(key)))
            yield [account for account in found if account and account.due_at <= self._now]

    def _read(self, row: wire.Row) -> Account | None:
        """The account in a row. None for one that is odd: it is listed again, for later."""
        account = turn_of(self._tables, row)
        if account is None:
            self._note(row["RowKey"], self._odd_until)
        return account

    def _look_up(self, keys: Sequence[str]) -> dict[str, datetime]:
        """When these accounts are due; without those that are gone."""
        if self._is_dense(len(keys)):
            wanted = set(keys)
            return {key: time for key, time in self._due_times() if key in wanted}
        rows = (self._row(key, select="RowKey,DueAt") for key in keys)
        return dict(map(self._due_time, filter(None, rows)))

    def _due_times(self) -> Iterator[tuple[str, datetime]]:
        """All accounts of the slot, without their token caches."""
        query, select = equals("PartitionKey", self._slot), "RowKey,DueAt"
        for page in scan(self._tables, self._slot, query, self._due_time, top=KEYS_PER_PAGE, select=select):
            yield from page

    def _due_time(self, row: wire.Row) -> tuple[str, datetime]:
        return row["RowKey"], time_or_none(wire.decoded(row).get("DueAt")) or self._odd_until

    def _row(self, key: str, *, select: str = "") -> wire.Row | None:
        """By a filter: no URL holds every key of the first edition."""
        query = f"{equals('PartitionKey', self._slot)} and {equals('RowKey', key)}"
        read = partial(wire.first_rows, self._tables.accounts, query, top=1, select=select)
        rows, _ = self._tables.call("read account", read, key=key)
        return rows[0] if rows else None


def until(slot: str, now: datetime) -> str:
    """A filter for the accounts of a slot that are due."""
    return f"{equals('PartitionKey', slot)} and DueAt le {time_literal(now)}"


def scan(
    tables: Tables, slot: str, query: str, read: Callable[[wire.Row], T], *, top: int = ROWS_PER_PAGE, select: str = ""
) -> Iterator[list[T]]:
    """Yields what `read` makes of a slot's rows, by pages. They may be empty and still be followed by others. Raises
    StoreUnavailable."""

    def begin() -> tuple[list[T], Iterator[list[T]]]:
        found = wire.pages(tables.accounts, query, read, top=top, select=select)
        return next(found), found

    first, others = tables.call("scan slot", begin, key=slot)
    yield first
    del first  # a page of accounts is a megabyte
    with translated("scan slot", slot):
        yield from others


def turn_of(tables: Tables, row: wire.Row) -> Account | None:
    """The account in a row. None for one that is odd, or that has its turn under another key."""
    found = reading.read(row)
    if isinstance(found, OddRow):
        reading.log(found)
        return None
    if row["RowKey"] == row_key(found.account_id):
        return found
    try:
        moved = first_edition.move(tables, wire.decoded(row))
    except StoreError as error:  # it comes with a later pass
        logger.error("a row of %s could not be moved to its new key and is left out: %s", ACCOUNTS, error)
        return None
    return replace(found, etag=str(moved["odata.etag"])) if moved else None  # a row there has a turn of its own
