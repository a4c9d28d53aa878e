"""The scene of the fault matrix."""

import logging
from collections.abc import Callable, Iterator

import pytest
from azure.data.tables import TableServiceClient

from localdev.azurite import Azurite
from localdev.tenant import SampleTenant
from shared.store import TableAccountStore
from tests.reliability.scene import Scene
from tests.reliability.storage_proxy import StorageProxy
from tests.running_app import RunningApp
from tests.service_storage import ServiceShapedStorage


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[StorageProxy]:
    """The road to the storage, which answers as the live service does."""
    with ServiceShapedStorage(azurite.connection_string) as road:
        yield road


@pytest.fixture
def scene(
    proxy: StorageProxy,
    start_app: Callable[..., RunningApp],
    sample_tenant: SampleTenant,
    tables: TableServiceClient,
    caplog: pytest.LogCaptureFixture,
) -> Scene:
    """Ben has signed in and is away; the log is empty."""
    caplog.set_level(logging.DEBUG)
    made = Scene(start_app, sample_tenant, proxy, tables, TableAccountStore(tables), caplog)
    made.begin()
    proxy.clear()
    return made
