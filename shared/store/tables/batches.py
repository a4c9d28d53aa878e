"""Many accounts of one slot written in as few entity group transactions as fit; one result per account.

A refused transaction wrote nothing. After a conflict, or when the answer was lost or came from a server or gateway in
trouble, a small read of the batch's rows tells for each whether this very write was committed (its `WriteId`, see
rows.py), whether the row is still as it was, or whether somebody else changed it. Rows that are still as they were are
sent again, unless the SDK has done so already. A row that the service doesn't take is found by halving, so that it
costs nobody else's write.

Limits: "Performing entity group transactions" (100 entities, 4 MiB). First-edition instances merge activity without a
`WriteId`; a write of ours that they merged onto, and whose answer was lost, still counts as ours.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import RequestTooLargeError, TableTransactionError, UpdateMode

from shared.accounts import Account
from shared.errors import Conflict, RowRefused, RowTooLarge, StoreError, StoreUnavailable
from shared.store.checks import mended
from shared.store.tables import wire
from shared.store.tables.rows import WRITE_ID, to_activity, to_entity
from shared.store.tables.service import (
    Tables,
    equals,
    is_conflict,
    is_refusal,
    is_too_large,
    may_be_committed,
    quoted,
    service_code,
)

_MOST_ROWS = 100
_MOST_BATCH_BYTES = 4 * 1024 * 1024 - 64 * 1024  # with room for the envelope
_MOST_TRIES = 3
_MOST_ROWS_PER_READ = 1000
_ROWS_PER_READ = 10  # for each row that is looked for: those of a page of a scan lie close together
_SPARSE = 100
_REPEATED_BY_SDK = (500, 503, 504)  # for a POST: azure-core, `_is_method_retryable` in _retry.py
_WRITE = "write accounts"

Results = dict[str, Account | StoreError]
"""By account id: the account with its new ETag, or why it was not written."""


@dataclass(frozen=True, slots=True)
class Write:
    """One row, ready to be sent."""

    account: Account
    row_key: str
    write_id: str
    part: wire.Part

    @property
    def name(self) -> str:
        """Of its result."""
        return self.account.account_id


def replace_row(account: Account) -> wire.Operation:
    """Writes the whole row: inserts it, or replaces the one with the account's ETag. Raises RowRefused."""
    entity = to_entity(account)
    return ("create", entity, {}) if account.etag is None else ("update", entity, _if_unchanged(account, merge=False))


def merge_activity(account: Account) -> wire.Operation:
    """Merges when the person was here, when they are due, and the lease, into the row with the account's ETag. Raises
    Conflict for an account that was never stored."""
    if account.etag is None:
        raise Conflict(account.account_id)
    return "update", to_activity(account), _if_unchanged(account, merge=True)


def write(
    tables: Tables, accounts: Sequence[Account], operation_of: Callable[[Account], wire.Operation]
) -> list[Account | StoreError]:
    """Writes accounts, all of one slot; one result per account, in order. Raises nothing."""
    results: Results = {}
    for batch in _batches(_ready(tables, accounts, operation_of, results)):
        results |= _write_batch(tables, batch)
    return [results[account.account_id] for account in accounts]


def _if_unchanged(account: Account, *, merge: bool) -> dict[str, object]:
    mode = UpdateMode.MERGE if merge else UpdateMode.REPLACE
    return {"mode": mode, "etag": account.etag, "match_condition": MatchConditions.IfNotModified}


def _ready(
    tables: Tables,
    accounts: Sequence[Account],
    operation_of: Callable[[Account], wire.Operation],
    results: Results,
) -> Iterator[Write]:
    """The rows that can be sent; `results` gets why the others can't."""
    for given in accounts:
        try:
            account = mended(given)
            operation = operation_of(account)
            entity = operation[1]
            yield Write(account, entity["RowKey"], entity[WRITE_ID], wire.encode(tables.accounts, operation))
        except StoreError as error:
            results[given.account_id] = error
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row, the others are written
            results[given.account_id] = RowRefused(f"it can't be made a row ({type(error).__name__})")


def _batches(writes: Iterator[Write]) -> Iterator[list[Write]]:
    """As many rows and bytes as a transaction takes."""
    batch: list[Write] = []
    size = 0
    for each in writes:
        if batch and (len(batch) == _MOST_ROWS or size + len(each.part) > _MOST_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += len(each.part)
    if batch:
        yield batch


def _write_batch(tables: Tables, batch: list[Write]) -> Results:
    """Sends the rows, settles what became of them, and sends again those that are still as they were."""
    results: Results = {}
    error: StoreError = StoreUnavailable(_WRITE, 412, "the rows kept changing")
    for _ in range(_MOST_TRIES):
        try:
            answer = tables.call(_WRITE, lambda: _submit(tables, batch))  # noqa: B023 - called at once
            if isinstance(answer, HttpResponseError) and is_refusal(answer):
                return results | _write_in_parts(tables, batch, answer)
            if isinstance(answer, list) and all(answer):
                return results | {each.name: _written(each, etag) for each, etag in zip(batch, answer, strict=True)}
        except StoreUnavailable as outage:
            if not may_be_committed(outage):
                return results | {each.name: outage for each in batch}
            error = outage
        try:
            settled = _settle(tables, batch)
        except StoreError as outage:
            return results | {each.name: outage for each in batch}
        results |= settled
        batch = [each for each in batch if each.name not in settled]
        if not batch or (isinstance(error, StoreUnavailable) and error.status in _REPEATED_BY_SDK):
            break
    return results | {each.name: error for each in batch}


def _submit(tables: Tables, batch: list[Write]) -> list[str] | HttpResponseError:
    """The rows' ETags; or the service's answer, when it speaks of rows and not of itself."""
    try:
        return wire.submit(tables.accounts, [each.part for each in batch])
    except HttpResponseError as error:
        if is_conflict(error) or is_refusal(error):
            return error
        raise


def _settle(tables: Tables, batch: list[Write]) -> Results:
    """Of the rows that are as we wrote them, or that somebody else changed. The others are still as they were."""
    found = _read_write_ids(tables, batch[0].account.slot, [each.row_key for each in batch])
    settled: Results = {}
    for each in batch:
        row = found.get(each.row_key)
        etag = row["odata.etag"] if row else None
        if row and row.get(WRITE_ID) == each.write_id:
            settled[each.name] = _written(each, row["odata.etag"])
        elif etag != each.account.etag:
            settled[each.name] = Conflict(each.name)
    return settled


def _read_write_ids(tables: Tables, slot: str, keys: list[str]) -> dict[str, wire.Row]:
    """The rows with these keys, and some that lie between.

    Reads ranges, as the service scans the partition for an `or`. Each read begins at the first key that was not reached
    yet, so there are never more reads than keys; it is short where the keys lie far apart.
    """
    found: dict[str, wire.Row] = {}
    rest = sorted(keys, key=_order)
    sparse = False
    while rest:
        condition = (
            equals("RowKey", rest[0])
            if len(rest) == 1
            else f"RowKey ge {quoted(rest[0])} and RowKey le {quoted(rest[-1])}"
        )
        query = f"{equals('PartitionKey', slot)} and {condition}"
        top = _ROWS_PER_READ if sparse else min(_ROWS_PER_READ * len(rest), _MOST_ROWS_PER_READ)
        read = partial(wire.first_rows, tables.accounts, query, top=top, select=f"RowKey,{WRITE_ID}")
        rows, more = tables.call("read accounts", read)
        found |= {row["RowKey"]: row for row in rows}
        if not more:
            break
        reached = _order(rows[-1]["RowKey"])
        beyond = [key for key in rest if _order(key) > reached]
        sparse = sparse or len(rows) > _SPARSE * (len(rest) - len(beyond))
        rest = beyond
    return found


def _order(key: str) -> bytes:
    """Sorts keys as the service does."""
    return key.encode("utf-16-be")


def _write_in_parts(tables: Tables, batch: list[Write], error: HttpResponseError) -> Results:
    """After a transaction was refused for what is in it."""
    if len(batch) == 1:
        (each,) = batch
        if is_too_large(error) or error.status_code == 413:
            return {each.name: RowTooLarge("row")}
        return {each.name: RowRefused(f"{_WRITE}: {error.status_code} {service_code(error)}".rstrip())}
    named = 0
    if isinstance(error, TableTransactionError) and not isinstance(error, RequestTooLargeError):
        named = error.index  # 0 says nothing: see wire.submit
    if 0 < named < len(batch):
        groups = ([batch[named]], batch[:named] + batch[named + 1 :])
    else:
        groups = (batch[: len(batch) // 2], batch[len(batch) // 2 :])
    return _write_batch(tables, groups[0]) | _write_batch(tables, groups[1])


def _written(write: Write, etag: str) -> Account:
    return replace(write.account, etag=etag)
