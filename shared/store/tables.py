"""The three tables, made on first use by whoever comes first, and the edge where the SDK's errors become ours.

Retries are few and short: a request is waiting, or the sweep comes again. A retried write whose first answer was lost
shows as a `Conflict`; callers read again then, as they do for any other.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, TableServiceClient, TableTransactionError, UpdateMode

from shared.errors import Conflict, RowTooLarge, StoreUnavailable
from shared.store.rows import Entity

ACCOUNTS, SLOTS, SWEEPS = "Accounts", "Slots", "Sweeps"
CLIENT_OPTIONS: Mapping[str, Any] = {
    "retry_total": 3,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 2,
    "connection_timeout": 5,
    "read_timeout": 15,
    "logging_enable": False,
}

T = TypeVar("T")


class Tables:
    """The tables of one storage account.

    Args:
        service: a client of the account (made with CLIENT_OPTIONS).
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self.accounts: TableClient = service.get_table_client(ACCOUNTS)
        self.slots: TableClient = service.get_table_client(SLOTS)
        self.sweeps: TableClient = service.get_table_client(SWEEPS)

    def call(self, name: str, operation: Callable[[], T], *, key: str = "") -> T:
        """What `operation` gives; it is run once more when a table wasn't there yet.

        Args:
            name: of the operation, for whoever reads the error.
            key: of the row, for a Conflict.

        Raises:
            StoreUnavailable, Conflict, RowTooLarge: see errors.py. TableTransactionError passes: see batches.py.
        """
        with translated(name, key):
            try:
                return operation()
            except HttpResponseError as error:
                if not _table_is_missing(error):
                    raise
            for table in (ACCOUNTS, SLOTS, SWEEPS):
                self._service.create_table_if_not_exists(table)
            return operation()


def entity_or_none(table: TableClient, partition: str, row: str) -> Any:
    """The entity, or None when the table has none with these keys."""
    try:
        return table.get_entity(partition, row)
    except ResourceNotFoundError as error:
        if _table_is_missing(error):
            raise
        return None


def insert_or_replace(table: TableClient, entity: Entity, etag: str | None) -> str:
    """Writes a whole row that is still as `etag` says; None: that must not exist yet. Gives its new ETag."""
    if etag is None:
        return etag_of(table.create_entity(entity))
    unchanged = MatchConditions.IfNotModified
    return etag_of(table.update_entity(entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=unchanged))


def etag_of(metadata: Mapping[str, Any]) -> str:
    """Of a row, from what the SDK tells beside it."""
    return str(metadata["etag"])


@contextmanager
def translated(operation: str, key: str = "") -> Iterator[None]:
    """SDK errors become ours here. A transaction's own errors pass: see batches.py."""
    try:
        yield
    except TableTransactionError:
        raise
    except HttpResponseError as error:
        if is_conflict(error):
            raise Conflict(key) from error
        if is_too_large(error):
            raise RowTooLarge("row") from error
        raise StoreUnavailable(operation, error.status_code, service_code(error)) from error
    except AzureError as error:
        raise StoreUnavailable(operation, None, type(error).__name__) from error


def service_code(error: HttpResponseError) -> str:
    """The table service's error code, or ""."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def is_conflict(error: HttpResponseError) -> bool:
    """A row changed, vanished, or is there already. Another 409 says that the table is being deleted."""
    if error.status_code == 409:
        return _says(error, "EntityAlreadyExists")
    return error.status_code == 412 or (error.status_code == 404 and not _table_is_missing(error))


def is_too_large(error: HttpResponseError) -> bool:
    """EntityTooLarge, PropertyValueTooLarge and the like. Azurite counts an update's JSON, with bytes in base64."""
    return error.status_code in (400, 413) and _says(error, "TooLarge")


def _table_is_missing(error: HttpResponseError) -> bool:
    return error.status_code == 404 and _says(error, "TableNotFound")


def _says(error: HttpResponseError, code: str) -> bool:
    """The text is looked at too: for an insert the SDK leaves `error_code` empty."""
    return code in (service_code(error) or str(error))
