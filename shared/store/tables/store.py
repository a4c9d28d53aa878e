"""The account store on Azure Table Storage."""

import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableServiceClient

from shared.accounts import Account, State, slot_of
from shared.errors import Conflict, RowUnreadable, StoreError, StoreUnavailable
from shared.store.checks import mended
from shared.store.protocol import LONGEST_WAKE, AccountPage, Headcount, OddRow, SweepRecord
from shared.store.slots import Slot
from shared.store.tables import batches, due, first_edition, hints, reading, wire
from shared.store.tables.listing import Choice, count, list_page
from shared.store.tables.rows import row_key, sense_of, sweep_entity, sweep_record
from shared.store.tables.service import SWEEPS, Tables, may_be_committed, table_is_missing
from shared.store.tables.slot_pass import SlotPass, scan, turn_of, until

_LONGEST_LISTING = LONGEST_WAKE.total_seconds() / 6  # a save takes a few calls of twenty seconds at most
_MOST_TRIES = 10  # to delete a row that keeps changing
_BUSY, _TOO_MANY = 503, 429


class TableAccountStore:
    """`AccountStore` on a table service.

    Args:
        service: a client of the storage account (made with CLIENT_OPTIONS).
        clock: seconds that only grow.
    """

    def __init__(self, service: TableServiceClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tables = Tables(service)
        self._clock = clock

    def get(self, account_id: str) -> Account | None:
        """See AccountStore."""
        keys = _keys(account_id)
        if keys is None:
            return None

        def read() -> wire.Row | None:
            return self._tables.call(
                "read account", lambda: wire.read_row(self._tables.accounts, *keys), key=account_id
            )

        row = read()
        other = row.get("AccountId") if row else None
        if isinstance(other, str) and other != account_id and self._bring_over(other):
            row = read()  # somebody's old key was this account's new one
        if row is None and self._bring_over(account_id):
            row = read()
        if row is None:
            return None
        found = reading.read(row)
        if isinstance(found, OddRow):
            reading.log(found)
            raise RowUnreadable(found.slot, found.key, found.reason, found.etag)
        if found.account_id != account_id:  # under its old key, from which it could not be moved
            raise StoreUnavailable("read account", None, "the row is not this account's")
        return found

    def save(self, account: Account) -> Account:
        """See AccountStore."""
        return _or_raise(self.save_many([account])[0])

    def wake(self, account: Account) -> Account:
        """See AccountStore."""
        account = mended(account)
        listed_at = -math.inf
        while self._clock() - listed_at > _LONGEST_LISTING:
            listed_at = self._clock()
            due.add(self._tables, account.slot, row_key(account.account_id), account.due_at)
        saved = self.save(account)
        self.lower_hint(saved.slot, saved.due_at)
        return saved

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
        read = partial(wire.read_row, self._tables.accounts, *keys, select="SessionGeneration")
        first: wire.Row | None = None
        for _ in range(_MOST_TRIES):
            try:
                first_edition.bring_over(self._tables, account_id)  # neither key may keep a row
                if etag is not None:
                    return self._delete(*keys, etag)
                row = self._tables.call("delete account", read, key=account_id)
                if row is None:
                    return first is not None
                if first is not None and row.get("SessionGeneration") != first.get("SessionGeneration"):
                    return True  # the row that was to go is gone: they signed in anew
                first = row
                return self._delete(*keys, row["odata.etag"])
            except Conflict:
                if etag is not None:
                    raise
        raise StoreUnavailable("delete account", 412, "the row kept changing")

    def delete_odd(self, row: OddRow) -> bool:
        """See AccountStore."""
        return self._delete(row.slot, row.key, row.etag)

    def due(self, slot: str, now: datetime) -> Iterator[list[Account]]:
        """See AccountStore."""
        for page in scan(self._tables, slot, until(slot, now), partial(turn_of, self._tables)):
            yield [account for account in page if account]

    def begin_pass(self, slot: Slot) -> SlotPass:
        """See AccountStore."""
        return SlotPass(self._tables, slot)

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
        self._tables.insert("record sweep", self._tables.sweeps, entity)

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
        odd: bool = False,
        cursor: str = "",
        most: int = 50,
    ) -> AccountPage:
        """See AccountStore."""
        choice = Choice(state, username, due_before, odd)
        return self._tables.call(
            "list accounts", lambda: list_page(self._tables.accounts, choice, cursor=cursor, most=most)
        )

    def count_accounts(self, overdue_before: datetime) -> Headcount:
        """See AccountStore."""
        return self._tables.call("count accounts", lambda: count(self._tables.accounts, overdue_before))

    def _delete(self, slot: str, key: str, etag: str) -> bool:
        """Deletes the row that is still as `etag` says; see AccountStore.delete. Raises Conflict, StoreUnavailable."""
        part = wire.encode(self._tables.accounts, ("delete", {"PartitionKey": slot, "RowKey": key}, {"etag": etag}))

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
            return self._tables.call("delete account", partial(delete, retry_total=0), key=key)
        except StoreUnavailable as error:
            if not may_be_committed(error) and error.status != _TOO_MANY:
                raise
            refused = error.status in (_BUSY, _TOO_MANY)
        there = self._tables.call("delete account", delete, key=key)
        return there or not refused

    def _bring_over(self, account_id: str) -> bool:
        """Moves the account's row of the first edition; returns whether there was one."""
        try:
            return first_edition.bring_over(self._tables, account_id)
        except Conflict:  # somebody else moved it
            return True
        except UnicodeEncodeError:  # no account can have this id
            return False


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
