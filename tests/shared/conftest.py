"""Fixtures of the tests of shared/."""

from collections.abc import Callable, Iterator

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from localdev.azurite import Azurite
from shared.accounts import slot_of
from shared.store import AccountStore, MemoryAccountStore, TableAccountStore
from tests.service_storage import ServiceShapedStorage
from tests.support import LONG


@pytest.fixture
def storage(azurite: Azurite, tables: TableServiceClient) -> Iterator[ServiceShapedStorage]:
    """An empty storage account that answers as the live service does."""
    with ServiceShapedStorage(azurite.connection_string) as shaped:
        yield shaped


@pytest.fixture
def table_store(storage: ServiceShapedStorage) -> Iterator[TableAccountStore]:
    """An empty store on it."""
    with storage.client() as client:
        yield TableAccountStore(client)


# Whoever takes the service's answers takes Azurite's: the long run shows it, and most other tests use plain Azurite.
@pytest.fixture(params=["memory", "service", *(["azurite"] if LONG else [])])
def store(request: pytest.FixtureRequest) -> AccountStore:
    """An empty store of each kind: in memory, and on a storage shaped like the live service."""
    if request.param == "memory":
        return MemoryAccountStore()
    if request.param == "azurite":
        return TableAccountStore(request.getfixturevalue("tables"))
    found: AccountStore = request.getfixturevalue("table_store")
    return found


@pytest.fixture
def spoil(request: pytest.FixtureRequest, store: AccountStore) -> Callable[[str], None]:
    """Makes an account's row odd, as somebody's hand would: `spoil(account_id)`."""
    if isinstance(store, MemoryAccountStore):
        return lambda account_id: store.spoil(account_id, "State is not a state")
    table = request.getfixturevalue("tables").get_table_client("Accounts")

    def write(account_id: str) -> None:
        row = {"PartitionKey": slot_of(account_id), "RowKey": account_id, "State": "half-asleep"}
        table.update_entity(row, mode=UpdateMode.MERGE)

    return write
