"""Fixtures of the tests of shared/."""

from collections.abc import Iterator

import pytest
from azure.data.tables import TableServiceClient

from localdev.azurite import Azurite
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
