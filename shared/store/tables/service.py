"""The four tables, made on first use by whoever comes first, and the edge where the SDK's errors become ours.

Retries are few and short: a request is waiting, or the sweep comes again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.data.tables import TableClient, TableServiceClient

from shared.errors import Conflict, RowTooLarge, StoreError, StoreUnavailable

ACCOUNTS, DUE, SLOTS, SWEEPS = "Accounts", "Due", "Slots", "Sweeps"
_REFUSALS = (400, 413)
_UNSETTLED = (None, 408, 500, 502, 503, 504)

T = TypeVar("T")


class Tables:
    """The tables of one storage account.

    Args:
        service: a client of the account (made with CLIENT_OPTIONS).
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self.accounts: TableClient = service.get_table_client(ACCOUNTS)
        self.due: TableClient = service.get_table_client(DUE)
        self.slots: TableClient = service.get_table_client(SLOTS)
        self.sweeps: TableClient = service.get_table_client(SWEEPS)

    def call(self, name: str, operation: Callable[[], T], *, key: str = "") -> T:
        """Runs `operation`, once more when a table wasn't there yet; returns what it returns.

        Args:
            name: of the operation, for whoever reads the error.
            key: of the row, for a Conflict.

        Raises:
            StoreUnavailable, Conflict, RowTooLarge: see errors.py.
        """
        with translated(name, key):
            try:
                return operation()
            except HttpResponseError as error:
                if not table_is_missing(error):
                    raise
            for table in (ACCOUNTS, DUE, SLOTS, SWEEPS):
                self._service.create_table_if_not_exists(table)
            return operation()

    def insert(self, name: str, table: TableClient, entity: Mapping[str, Any]) -> None:
        """Inserts a row whose key is random, so that one which is there already is this one: its answer was lost.
        Raises StoreUnavailable."""
        create = partial(table.create_entity, entity)
        with suppress(Conflict):
            try:
                self.call(name, create)
            except StoreUnavailable as error:
                if not may_be_committed(error):
                    raise
                self.call(name, create)


def entity_or_none(table: TableClient, partition: str, row: str) -> Any:
    """The entity, or None when the table has none with these keys."""
    try:
        return table.get_entity(partition, row)
    except ResourceNotFoundError as error:
        if table_is_missing(error):
            raise
        return None


def etag_of(metadata: Mapping[str, Any]) -> str:
    """The ETag of a row, from the SDK's metadata."""
    return str(metadata["etag"])


def equals(name: str, value: str) -> str:
    """An OData condition: this property has this value."""
    return f"{name} eq {quoted(value)}"


def quoted(value: str) -> str:
    """A string literal of an OData filter."""
    return "'" + value.replace("'", "''") + "'"


def time_literal(time: datetime) -> str:
    """A time in an OData filter."""
    return f"datetime'{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"


@contextmanager
def translated(operation: str, key: str = "") -> Iterator[None]:
    """Turns the SDK's errors into ours."""
    try:
        yield
    except HttpResponseError as error:
        raise as_store_error(error, operation, key) from error
    except AzureError as error:
        raise StoreUnavailable(operation, None, type(error).__name__) from error


def as_store_error(error: HttpResponseError, operation: str, key: str) -> StoreError:
    """A refusal by the service, also of a transaction (`TableTransactionError`), as one of our errors. Without a status
    the answer couldn't be read."""
    if is_conflict(error):
        return Conflict(key)
    if is_too_large(error):
        return RowTooLarge("row")
    return StoreUnavailable(operation, error.status_code, service_code(error))


def may_be_committed(error: StoreUnavailable) -> bool:
    """Whether the write may have happened all the same: there was no answer, or one of a server or gateway in
    trouble."""
    return error.status in _UNSETTLED


def service_code(error: HttpResponseError) -> str:
    """The table service's error code, or ""."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def is_conflict(error: HttpResponseError) -> bool:
    """A row changed, vanished, or is there already. Another 409 says that the table is being deleted."""
    if error.status_code == 409:
        return _says(error, "EntityAlreadyExists")
    return error.status_code == 412 or (error.status_code == 404 and not table_is_missing(error))


def is_refusal(error: HttpResponseError) -> bool:
    """The service doesn't take what was to be written, and won't take it next time either."""
    return error.status_code in _REFUSALS


def is_too_large(error: HttpResponseError) -> bool:
    """EntityTooLarge, PropertyValueTooLarge and the like. Azurite counts an update's JSON, with bytes in base64."""
    return error.status_code in _REFUSALS and _says(error, "TooLarge")


def table_is_missing(error: HttpResponseError) -> bool:
    """A table, and not a row of it, isn't there."""
    return error.status_code == 404 and _says(error, "TableNotFound")


def _says(error: HttpResponseError, code: str) -> bool:
    """The text is looked at too: for an insert the SDK leaves `error_code` empty."""
    return code in (service_code(error) or str(error))
