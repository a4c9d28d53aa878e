"""Accounts in Azure Table Storage. The only calls of the Tables SDK are here.

Retries are few and short: a request is waiting, or the sweep comes again. A retried write whose first answer was lost
shows as a `Conflict`; callers read again then, as they do for any other.
"""

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import (
    RequestTooLargeError,
    TableClient,
    TableServiceClient,
    TableTransactionError,
    UpdateMode,
)

from shared.accounts import EPOCH, Account, State, all_slots, slot_of
from shared.errors import Conflict, RowTooLarge, StoreError, StoreUnavailable
from shared.store.listing import Choice, count, list_page
from shared.store.pages import Row, decoded, pages
from shared.store.protocol import AccountPage, Headcount, Slot, SweepRecord
from shared.store.rows import (
    Entity,
    activity,
    encoded_size,
    from_entity,
    row_key,
    sweep_entity,
    sweep_record,
    to_entity,
)
from shared.store.transaction import submit

logger = logging.getLogger(__name__)

ACCOUNTS, SLOTS, SWEEPS = "Accounts", "Slots", "Sweeps"
CLIENT_OPTIONS: Mapping[str, Any] = {
    "retry_total": 3,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 2,
    "connection_timeout": 5,
    "read_timeout": 15,
    "logging_enable": False,
}
_MOST_ROWS = 100
_MOST_BATCH_BYTES = int(3.5 * 1024 * 1024)
_PAGE = 128
_CONFLICTS = (404, 409, 412)
_ROW_REFUSALS = (400, 413, *_CONFLICTS)
_SLOT_PARTITION = "slots"

T = TypeVar("T")
_Operation = tuple[str, Entity, dict[str, Any]]
_Row = tuple[Account, _Operation]


class TableAccountStore:
    """`AccountStore` on a table service; tables are made on first use, by whoever comes first.

    Args:
        service: a client of the storage account (made with CLIENT_OPTIONS).
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._accounts: TableClient = service.get_table_client(ACCOUNTS)
        self._slots: TableClient = service.get_table_client(SLOTS)
        self._sweeps: TableClient = service.get_table_client(SWEEPS)

    def get(self, account_id: str) -> Account | None:
        """See AccountStore."""
        with _translated("read account", account_id):
            try:
                entity = self._call(lambda: self._accounts.get_entity(slot_of(account_id), row_key(account_id)))
            except ResourceNotFoundError as error:
                if _table_is_missing(error):  # also after it was made: it is just being deleted
                    raise
                return None
            account = from_entity(entity, _etag(entity.metadata))
        if account.account_id != account_id:  # somebody's row, copied under another key by who can write to the table
            raise StoreUnavailable("read account", None, "the row is not this account's")
        return account

    def save(self, account: Account) -> Account:
        """See AccountStore."""
        entity = to_entity(account)
        with _translated("write account", account.account_id):
            metadata = self._call(lambda: _insert_or_replace(self._accounts, entity, account.etag))
            return replace(account, etag=_etag(metadata))

    def save_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """See AccountStore."""
        results: dict[str, Account | StoreError] = {}
        rows: list[_Row] = []
        for account in accounts:
            try:
                rows.append((account, _whole(account)))
            except RowTooLarge as error:
                results[account.account_id] = error
        results |= self._write_rows(rows)
        return [results[account.account_id] for account in accounts]

    def touch(self, account: Account) -> Account:
        """See AccountStore."""
        result = self.touch_many([account])[0]
        if isinstance(result, StoreError):
            raise result
        return result

    def touch_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """See AccountStore."""
        results = self._write_rows([(account, _activity_only(account)) for account in accounts])
        return [results[account.account_id] for account in accounts]

    def delete(self, account_id: str, *, etag: str | None = None) -> bool:
        """See AccountStore."""
        known = self.get(account_id)
        if known is None:
            return False
        condition = MatchConditions.IfNotModified if etag else None
        try:
            with _translated("delete account", account_id):
                self._accounts.delete_entity(known.slot, row_key(account_id), etag=etag, match_condition=condition)
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
        with _translated("read slots"):
            rows = self._call(
                lambda: list(
                    self._slots.query_entities("PartitionKey eq @slots", parameters={"slots": _SLOT_PARTITION})
                )
            )
        known = {row["RowKey"]: Slot(row["RowKey"], row["NextDueAt"], _etag(row.metadata)) for row in rows}
        return [known.get(name, Slot(name, EPOCH)) for name in all_slots()]

    def lower_hint(self, slot: str, due_at: datetime) -> None:
        """See AccountStore."""
        while True:
            known = self._slot(slot)
            lowest = min(known.next_due_at, due_at) if known.etag else due_at
            if self.set_hint(known, lowest):
                return

    def set_hint(self, slot: Slot, next_due_at: datetime) -> Slot | None:
        """See AccountStore."""
        entity = {"PartitionKey": _SLOT_PARTITION, "RowKey": slot.name, "NextDueAt": next_due_at}
        with _translated("write slot", slot.name):
            try:
                metadata = self._call(lambda: _insert_or_replace(self._slots, entity, slot.etag))
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return None
        return Slot(slot.name, next_due_at, _etag(metadata))

    def record_sweep(self, record: SweepRecord) -> None:
        """See AccountStore."""
        entity = sweep_entity(record, secrets.token_hex(4))
        with _translated("record sweep"):
            self._call(lambda: self._sweeps.create_entity(entity))

    def recent_sweeps(self, most: int) -> list[SweepRecord]:
        """See AccountStore."""
        with _translated("read sweeps"):
            page = self._call(lambda: _first_page(self._sweeps.list_entities(results_per_page=most)))
        return [sweep_record(entity) for entity in page]

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
        with _translated("list accounts"):
            return self._call(lambda: list_page(self._accounts, choice, cursor=cursor, most=most))

    def counted(self, overdue_before: datetime) -> Headcount:
        """See AccountStore."""
        with _translated("count accounts"):
            return self._call(lambda: count(self._accounts, overdue_before))

    def _slot(self, name: str) -> Slot:
        with _translated("read slot", name):
            try:
                row = self._call(lambda: self._slots.get_entity(_SLOT_PARTITION, name))
            except ResourceNotFoundError as error:
                if _table_is_missing(error):
                    raise
                return Slot(name, EPOCH)
            return Slot(name, row["NextDueAt"], _etag(row.metadata))

    def _pages(
        self, slot: str, comparison: str, time: datetime, read: Callable[[Row], T], *, select: str = ""
    ) -> Iterator[list[T]]:
        """A filter on DueAt scans the partition: pages may be empty and still be followed by others."""
        then = f"datetime'{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"
        query = f"PartitionKey eq '{slot}' and DueAt {comparison} {then}"

        def begin() -> tuple[list[T], Iterator[list[T]]]:
            found = pages(self._accounts, query, read, top=_PAGE, select=select)
            return next(found), found

        with _translated("scan slot", slot):
            first, others = self._call(begin)
            yield first
            del first  # a page of accounts is a megabyte
            yield from others

    def _write_rows(self, rows: list[_Row]) -> dict[str, Account | StoreError]:
        results: dict[str, Account | StoreError] = {}
        for batch in _batches(rows):
            results |= self._write_batch(batch)
        return results

    def _write_batch(self, batch: list[_Row]) -> dict[str, Account | StoreError]:
        """One transaction; a row that refuses is taken out and the rest tried again (a failed transaction wrote
        nothing)."""
        results: dict[str, Account | StoreError] = {}
        while batch:
            try:
                return results | self._submit(batch)
            except RequestTooLargeError:  # a subclass of the next, with index 0: it must be caught first
                if len(batch) == 1:
                    account, operation = batch[0]
                    too_large = RowTooLarge("row", encoded_size(operation[1]), _MOST_BATCH_BYTES)
                    return results | {account.account_id: too_large}
                half = len(batch) // 2
                return results | self._write_batch(batch[:half]) | self._write_batch(batch[half:])
            except TableTransactionError as error:
                if error.status_code not in _ROW_REFUSALS:
                    failed = StoreUnavailable("write accounts", error.status_code, _code(error))
                    return results | {account.account_id: failed for account, _ in batch}
                refused = batch.pop(error.index)[0].account_id
                results[refused] = _refusal(error, refused)
            except StoreError as error:
                return results | {account.account_id: error for account, _ in batch}
        return results

    def _submit(self, batch: list[_Row]) -> dict[str, Account | StoreError]:
        with _translated("write accounts"):
            answers = self._call(lambda: submit(self._accounts, [operation for _, operation in batch]))
        written = zip(batch, answers, strict=True)
        return {account.account_id: replace(account, etag=_etag(answer)) for (account, _), answer in written}

    def _call(self, operation: Callable[[], T]) -> T:
        """Runs an operation; when a table isn't there yet, makes the tables and runs it once more."""
        try:
            return operation()
        except HttpResponseError as error:
            if not _table_is_missing(error):
                raise
        for name in (ACCOUNTS, SLOTS, SWEEPS):
            self._service.create_table_if_not_exists(name)
        return operation()


def _insert_or_replace(table: TableClient, entity: Entity, etag: str | None) -> Mapping[str, Any]:
    if etag is None:
        return table.create_entity(entity)
    return table.update_entity(
        entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
    )


def _whole(account: Account) -> _Operation:
    if account.etag is None:
        return ("create", to_entity(account), {})
    return ("update", to_entity(account), _if_unchanged(account, UpdateMode.REPLACE))


def _activity_only(account: Account) -> _Operation:
    keys = {"PartitionKey": account.slot, "RowKey": row_key(account.account_id)}
    return ("update", keys | activity(account), _if_unchanged(account, UpdateMode.MERGE))


def _if_unchanged(account: Account, mode: UpdateMode) -> dict[str, Any]:
    return {"mode": mode, "etag": account.etag, "match_condition": MatchConditions.IfNotModified}


def _batches(rows: list[_Row]) -> Iterator[list[_Row]]:
    """At most 100 rows and 3.5 MiB each: what an entity group transaction takes, with room for its envelope."""
    batch: list[_Row] = []
    size = 0
    for row in rows:
        row_size = encoded_size(row[1][1])
        if batch and (len(batch) == _MOST_ROWS or size + row_size > _MOST_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row_size
    if batch:
        yield batch


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


def _first_page(items: Any) -> list[Mapping[str, Any]]:
    return list(next(items.by_page(), []))


def _etag(metadata: Mapping[str, Any]) -> str:
    return str(metadata["etag"])


def _code(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def _table_is_missing(error: HttpResponseError) -> bool:
    """The text is looked at too: for an insert the SDK leaves `error_code` empty."""
    return error.status_code == 404 and "TableNotFound" in (_code(error) or str(error))


def _refusal(error: TableTransactionError, account_id: str) -> StoreError:
    if error.status_code in _CONFLICTS:
        return Conflict(account_id)
    if _is_too_large(error):
        return RowTooLarge("row")
    return StoreUnavailable("write accounts", error.status_code, _code(error))


def _is_too_large(error: HttpResponseError) -> bool:
    """EntityTooLarge, PropertyValueTooLarge and the like. Azurite counts an update's JSON, with bytes in base64."""
    return error.status_code in (400, 413) and "TooLarge" in (_code(error) or str(error))


@contextmanager
def _translated(operation: str, key: str = "") -> Iterator[None]:
    """SDK errors become ours at this edge. A transaction's own errors pass: `_save_batch` reads them."""
    try:
        yield
    except TableTransactionError:
        raise
    except (ResourceModifiedError, ResourceExistsError) as error:
        raise Conflict(key) from error
    except ResourceNotFoundError as error:
        if _table_is_missing(error):
            raise StoreUnavailable(operation, 404, "TableNotFound") from error
        raise Conflict(key) from error
    except HttpResponseError as error:
        if _is_too_large(error):
            raise RowTooLarge("row") from error
        raise StoreUnavailable(operation, error.status_code, _code(error)) from error
    except AzureError as error:
        raise StoreUnavailable(operation, None, type(error).__name__) from error
