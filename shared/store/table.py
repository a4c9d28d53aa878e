"""Accounts in Azure Table Storage. The only calls of the Tables SDK are in this folder."""

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from azure.core import MatchConditions
from azure.data.tables import TableServiceClient

from shared.accounts import Account, State, slot_of
from shared.errors import Conflict, RowTooLarge, StoreError, StoreUnavailable
from shared.store import batches, hints
from shared.store.listing import Choice, count, list_page
from shared.store.pages import Row, decoded, pages
from shared.store.protocol import ROWS_A_PAGE, AccountPage, Headcount, Slot, SweepRecord
from shared.store.rows import from_entity, row_key, sweep_entity, sweep_record, to_entity
from shared.store.tables import ACCOUNTS, Tables, entity_or_none, etag_of, insert_or_replace, translated

logger = logging.getLogger(__name__)

T = TypeVar("T")


class TableAccountStore:
    """`AccountStore` on a table service.

    Args:
        service: a client of the storage account (made with CLIENT_OPTIONS).
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._tables = Tables(service)

    def get(self, account_id: str) -> Account | None:
        """See AccountStore."""
        table, keys = self._tables.accounts, (slot_of(account_id), row_key(account_id))
        entity = self._tables.call("read account", lambda: entity_or_none(table, *keys), key=account_id)
        if entity is None:
            return None
        account = from_entity(entity, etag_of(entity.metadata))
        if account.account_id != account_id:  # somebody's row, copied under another key by who can write to the table
            raise StoreUnavailable("read account", None, "the row is not this account's")
        return account

    def save(self, account: Account) -> Account:
        """See AccountStore."""
        table, entity = self._tables.accounts, to_entity(account)
        etag = self._tables.call(
            "write account", lambda: insert_or_replace(table, entity, account.etag), key=account.account_id
        )
        return replace(account, etag=etag)

    def save_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """See AccountStore."""
        results: batches.Results = {}
        rows: list[batches.Row] = []
        for account in accounts:
            try:
                rows.append(batches.whole(account))
            except RowTooLarge as error:
                results[account.account_id] = error
        results |= batches.write(self._tables, rows)
        return [results[account.account_id] for account in accounts]

    def touch(self, account: Account) -> Account:
        """See AccountStore."""
        result = self.touch_many([account])[0]
        if isinstance(result, StoreError):
            raise result
        return result

    def touch_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """See AccountStore."""
        results = batches.write(self._tables, [batches.activity_only(account) for account in accounts])
        return [results[account.account_id] for account in accounts]

    def delete(self, account_id: str, *, etag: str | None = None) -> bool:
        """See AccountStore."""
        known = self.get(account_id)
        if known is None:
            return False
        table, keys = self._tables.accounts, (known.slot, row_key(account_id))
        condition = MatchConditions.IfNotModified if etag else None
        try:
            self._tables.call(
                "delete account",
                lambda: table.delete_entity(*keys, etag=etag, match_condition=condition),
                key=account_id,
            )
        except Conflict:
            if etag is None:  # somebody else deleted it between our two calls
                return False
            raise
        return True

    def due(self, slot: str, now: datetime) -> Iterator[list[Account]]:
        """See AccountStore."""
        for page in self._pages(slot, "le", now, _read):
            yield [account for account in page if account is not None]

    def earliest_due(self, slot: str, before: datetime) -> datetime | None:
        """See AccountStore."""
        times = [time for page in self._pages(slot, "lt", before, _due_at, select="DueAt") for time in page]
        return min(times, default=None)

    def slots(self) -> list[Slot]:
        """See AccountStore."""
        return hints.all_hints(self._tables)

    def lower_hint(self, slot: str, due_at: datetime) -> None:
        """See AccountStore."""
        hints.lower(self._tables, slot, due_at)

    def set_hint(self, slot: Slot, next_due_at: datetime, *, claimed_until: datetime | None = None) -> Slot | None:
        """See AccountStore."""
        return hints.move(self._tables, slot, next_due_at, claimed_until)

    def record_sweep(self, record: SweepRecord) -> None:
        """See AccountStore."""
        entity = sweep_entity(record, secrets.token_hex(4))
        self._tables.call("record sweep", lambda: self._tables.sweeps.create_entity(entity))

    def recent_sweeps(self, most: int) -> list[SweepRecord]:
        """See AccountStore."""
        table = self._tables.sweeps
        first_page = self._tables.call(
            "read sweeps", lambda: list(next(table.list_entities(results_per_page=most).by_page(), []))
        )
        return [sweep_record(entity) for entity in first_page]

    def listed(
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

    def counted(self, overdue_before: datetime) -> Headcount:
        """See AccountStore."""
        return self._tables.call("count accounts", lambda: count(self._tables.accounts, overdue_before))

    def _pages(
        self, slot: str, comparison: str, time: datetime, read: Callable[[Row], T], *, select: str = ""
    ) -> Iterator[list[T]]:
        """A filter on DueAt scans the partition: pages may be empty and still be followed by others."""
        then = f"datetime'{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"
        query = f"PartitionKey eq '{slot}' and DueAt {comparison} {then}"

        def begin() -> tuple[list[T], Iterator[list[T]]]:
            found = pages(self._tables.accounts, query, read, top=ROWS_A_PAGE, select=select)
            return next(found), found

        scan = "scan slot"
        first, others = self._tables.call(scan, begin, key=slot)
        yield first
        del first  # a page of accounts is a megabyte
        with translated(scan, slot):
            yield from others


def _due_at(row: Row) -> datetime:
    due_at: datetime = decoded(row)["DueAt"]
    return due_at


def _read(row: Row) -> Account | None:
    """The account in a row. A row that makes no sense, written by hand or by another version, must not hide those
    behind it: None."""
    try:
        return from_entity(decoded(row), str(row["odata.etag"]))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        logger.error("a row of %s makes no sense and is left out: %s", ACCOUNTS, type(error).__name__)
        return None
