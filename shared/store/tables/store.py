"""The account store on Azure Table Storage."""

import heapq
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableServiceClient

from shared.accounts import Account, State, slot_of
from shared.errors import Conflict, StoreError, StoreUnavailable
from shared.store.protocol import AccountPage, Headcount, SweepRecord
from shared.store.slots import Slot
from shared.store.tables import batches, first_edition, hints, wire
from shared.store.tables.listing import Choice, count, list_page
from shared.store.tables.rows import (
    MAKES_NO_SENSE,
    from_entity,
    row_key,
    sense_of,
    sweep_entity,
    sweep_record,
    time_or_none,
)
from shared.store.tables.service import (
    ACCOUNTS,
    SWEEPS,
    Tables,
    entity_or_none,
    equals,
    etag_of,
    may_be_committed,
    table_is_missing,
    translated,
)

ROWS_PER_PAGE = 100  # of a scan, as many as a transaction takes: what a sweep holds in memory at once, per slot
_MOST_CHECKED = 50  # rows that would be the answer of earliest_due; behind so many that make no sense nobody is found
_BUSY, _TOO_MANY = 503, 429

T = TypeVar("T")

logger = logging.getLogger(__name__)


class TableAccountStore:
    """`AccountStore` on a table service.

    Args:
        service: a client of the storage account (made with CLIENT_OPTIONS).
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._tables = Tables(service)

    def get(self, account_id: str) -> Account | None:
        """See AccountStore."""
        keys = _keys(account_id)
        if keys is None:
            return None

        def read() -> Any:
            return self._tables.call(
                "read account", lambda: entity_or_none(self._tables.accounts, *keys), key=account_id
            )

        try:
            entity = read()
            other = entity.get("AccountId") if entity else None
            if isinstance(other, str) and other != account_id and self._bring_over(other):
                entity = read()  # somebody's old key was this account's new one
            if entity is None and self._bring_over(account_id):
                entity = read()
            if entity is None:
                return None
            account = from_entity(entity, etag_of(entity.metadata))
        except MAKES_NO_SENSE as error:
            raise StoreUnavailable("read account", None, f"the row makes no sense: {type(error).__name__}") from error
        if account.account_id != account_id:  # somebody's row, copied under another key by who can write to the table
            raise StoreUnavailable("read account", None, "the row is not this account's")
        return account

    def save(self, account: Account) -> Account:
        """See AccountStore."""
        return _or_raise(self.save_many([account])[0])

    def save_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """See AccountStore."""
        return batches.write(self._tables, accounts, batches.replace_row)

    def touch(self, account: Account) -> Account:
        """See AccountStore."""
        return _or_raise(self.touch_many([account])[0])

    def touch_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """See AccountStore."""
        return batches.write(self._tables, accounts, batches.merge_activity)

    def delete(self, account_id: str, *, etag: str | None = None) -> bool:
        """See AccountStore."""
        keys = _keys(account_id)
        if keys is None:
            return False
        first_edition.bring_over(self._tables, account_id)  # neither key may keep a row
        row = {"PartitionKey": keys[0], "RowKey": keys[1]}
        part = wire.encode(self._tables.accounts, ("delete", row, {"etag": etag}))

        def delete(**options: Any) -> bool:  # by transaction: the SDK's own call doesn't tell when there is no such row
            try:
                wire.submit(self._tables.accounts, [part], **options)
            except HttpResponseError as error:
                if error.status_code != 404 or table_is_missing(error):
                    raise
                return False
            return True

        # The SDK would repeat it after a 500, and hide that the first one may have deleted the row.
        try:
            return self._tables.call("delete account", partial(delete, retry_total=0), key=account_id)
        except StoreUnavailable as error:
            if not may_be_committed(error) and error.status != _TOO_MANY:
                raise
            refused = error.status in (_BUSY, _TOO_MANY)
        there = self._tables.call("delete account", delete, key=account_id)
        return there or not refused

    def due(self, slot: str, now: datetime) -> Iterator[list[Account]]:
        """See AccountStore."""
        for page in self._pages(slot, "le", now, self._read):
            yield [account for account in page if account]

    def earliest_due(self, slot: str, before: datetime) -> datetime | None:
        """See AccountStore. A row that would be the answer is read whole: `due` leaves out rows that make no sense, and
        they must not keep their slot due."""
        pages = self._pages(slot, "lt", before, _due_time_and_key, select="RowKey,DueAt")
        found = heapq.nsmallest(_MOST_CHECKED, (each for page in pages for each in page if each))
        return next((time for time, key in found if self._has_a_turn(slot, key)), None)

    def slots(self) -> list[Slot]:
        """See AccountStore."""
        return hints.read_all(self._tables)

    def lower_hint(self, slot: str, due_at: datetime) -> None:
        """See AccountStore."""
        hints.lower(self._tables, slot, due_at)

    def write_slot(self, slot: Slot) -> Slot | None:
        """See AccountStore."""
        return hints.write(self._tables, slot)

    def record_sweep(self, record: SweepRecord) -> None:
        """See AccountStore."""
        entity = sweep_entity(record, secrets.token_hex(4))
        create = partial(self._tables.sweeps.create_entity, entity)
        with suppress(Conflict):  # its key is random, so the row that is there is this one
            try:
                self._tables.call("record sweep", create)
            except StoreUnavailable as error:
                if not may_be_committed(error):
                    raise
                self._tables.call("record sweep", create)

    def recent_sweeps(self, most: int) -> list[SweepRecord]:
        """See AccountStore."""
        table = self._tables.sweeps
        newest = self._tables.call(
            "read sweeps", lambda: list(islice(table.list_entities(results_per_page=most), most))
        )
        return [record for row in newest if (record := sense_of(row, sweep_record, SWEEPS))]

    def list_accounts(
        self,
        *,
        state: State | None = None,
        username: str = "",
        due_before: datetime | None = None,
        cursor: str = "",
        most: int = 50,
    ) -> AccountPage:
        """See AccountStore."""
        choice = Choice(state, username, due_before)
        return self._tables.call(
            "list accounts", lambda: list_page(self._tables.accounts, choice, cursor=cursor, most=most)
        )

    def count_accounts(self, overdue_before: datetime) -> Headcount:
        """See AccountStore."""
        return self._tables.call("count accounts", lambda: count(self._tables.accounts, overdue_before))

    def _pages(
        self, slot: str, comparison: str, time: datetime, read: Callable[[wire.Row], T], *, select: str = ""
    ) -> Iterator[list[T]]:
        """A filter on DueAt scans the partition: pages may be empty and still be followed by others."""
        then = f"datetime'{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"
        query = f"PartitionKey eq '{slot}' and DueAt {comparison} {then}"

        def begin() -> tuple[list[T], Iterator[list[T]]]:
            found = wire.pages(self._tables.accounts, query, read, top=ROWS_PER_PAGE, select=select)
            return next(found), found

        scan = "scan slot"
        first, others = self._tables.call(scan, begin, key=slot)
        yield first
        del first  # a page of accounts is a megabyte
        with translated(scan, slot):
            yield from others

    def _bring_over(self, account_id: str) -> bool:
        """Moves the account's row of the first edition; returns whether there was one."""
        with suppress(Conflict):  # somebody else moved it
            return first_edition.bring_over(self._tables, account_id)
        return True

    def _has_a_turn(self, slot: str, key: str) -> bool:
        """Would `due` give this row's account?"""
        query = f"{equals('PartitionKey', slot)} and {equals('RowKey', key)}"
        rows, _ = self._tables.call(
            "read account", lambda: wire.first_rows(self._tables.accounts, query, top=1), key=key
        )
        try:
            return any(self._account(row) for row in rows)
        except MAKES_NO_SENSE:
            return False

    def _read(self, row: wire.Row) -> Account | None:
        """The account in a row. None for a row that makes no sense, or was copied under another key."""
        return sense_of(row, self._account, ACCOUNTS)

    def _account(self, row: wire.Row) -> Account | None:
        values = wire.decoded(row)
        account = from_entity(values, str(values["odata.etag"]))
        if values["RowKey"] == row_key(account.account_id):
            return account
        if values["RowKey"] != first_edition.first_key(account.account_id):
            raise ValueError("a row of another account")
        try:
            moved = first_edition.move(self._tables, values)
        except StoreError as error:  # it comes with the next scan
            logger.error("a row of %s could not be moved to its new key and is left out: %s", ACCOUNTS, error)
            return None
        return replace(account, etag=str(moved["odata.etag"])) if moved else None  # a row there has a turn of its own


def _due_time_and_key(row: wire.Row) -> tuple[datetime, str] | None:
    """What earliest_due looks at. None for a due time that is none."""
    try:
        return (time, row["RowKey"]) if (time := time_or_none(wire.decoded(row).get("DueAt"))) else None
    except MAKES_NO_SENSE:
        return None


def _keys(account_id: str) -> tuple[str, str] | None:
    """Partition and row; None for an id that no account can have: UTF-8 can't hold it."""
    try:
        return slot_of(account_id), row_key(account_id)
    except UnicodeEncodeError:
        return None


def _or_raise(result: Account | StoreError) -> Account:
    if isinstance(result, StoreError):
        raise result
    return result
