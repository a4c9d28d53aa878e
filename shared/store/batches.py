"""Many accounts of one slot written in as few entity group transactions as fit; one result an account.

A failed transaction wrote nothing and names only the first row that refused: that one is taken out and the rest tried
again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from azure.core import MatchConditions
from azure.data.tables import RequestTooLargeError, TableTransactionError, UpdateMode

from shared.accounts import Account
from shared.errors import Conflict, RowTooLarge, StoreError, StoreUnavailable
from shared.store.rows import activity, encoded_size, row_key, to_entity
from shared.store.tables import Tables, etag_of, is_conflict, is_too_large, service_code
from shared.store.transaction import Operation, submit

_MOST_ROWS = 100
_MOST_BATCH_BYTES = int(3.5 * 1024 * 1024)
_REFUSALS_OF_A_ROW = (400, 413)
_WRITE = "write accounts"

Row = tuple[Account, Operation]
Results = dict[str, Account | StoreError]
"""By account id: the account with its new ETag, or why it was not written."""


def whole(account: Account) -> Row:
    """To write the whole row. Raises RowTooLarge."""
    if account.etag is None:
        return account, ("create", to_entity(account), {})
    return account, ("update", to_entity(account), _if_unchanged(account, UpdateMode.REPLACE))


def activity_only(account: Account) -> Row:
    """To write when the person was here, when they are due, and the lease."""
    keys = {"PartitionKey": account.slot, "RowKey": row_key(account.account_id)}
    return account, ("update", keys | activity(account), _if_unchanged(account, UpdateMode.MERGE))


def write(tables: Tables, rows: Sequence[Row]) -> Results:
    """Writes the rows, all of one slot. Trouble is in the results; nothing is raised."""
    results: Results = {}
    for batch in _batches(rows):
        results |= _write_batch(tables, batch)
    return results


def _if_unchanged(account: Account, mode: UpdateMode) -> dict[str, Any]:
    return {"mode": mode, "etag": account.etag, "match_condition": MatchConditions.IfNotModified}


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """At most 100 rows and 3.5 MiB each: what an entity group transaction takes, with room for its envelope."""
    batch: list[Row] = []
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


def _write_batch(tables: Tables, batch: list[Row]) -> Results:
    results: Results = {}
    while batch:
        try:
            return results | _submit(tables, batch)
        except RequestTooLargeError:  # a subclass of the next, with index 0: it must be caught first
            if len(batch) == 1:
                account, operation = batch[0]
                too_large = RowTooLarge("row", encoded_size(operation[1]), _MOST_BATCH_BYTES)
                return results | {account.account_id: too_large}
            half = len(batch) // 2
            return results | _write_batch(tables, batch[:half]) | _write_batch(tables, batch[half:])
        except TableTransactionError as error:
            if not (is_conflict(error) or error.status_code in _REFUSALS_OF_A_ROW):
                failed = StoreUnavailable(_WRITE, error.status_code, service_code(error))
                return results | {account.account_id: failed for account, _ in batch}
            refused = batch.pop(error.index)[0].account_id
            results[refused] = _refusal(error, refused)
        except StoreError as error:
            return results | {account.account_id: error for account, _ in batch}
    return results


def _submit(tables: Tables, batch: list[Row]) -> Results:
    operations = [operation for _, operation in batch]
    answers = tables.call(_WRITE, lambda: submit(tables.accounts, operations))
    written = zip(batch, answers, strict=True)
    return {account.account_id: replace(account, etag=etag_of(answer)) for (account, _), answer in written}


def _refusal(error: TableTransactionError, account_id: str) -> StoreError:
    if is_conflict(error):
        return Conflict(account_id)
    if is_too_large(error):
        return RowTooLarge("row")
    return StoreUnavailable(_WRITE, error.status_code, service_code(error))
