"""Operators' pages: who reads the list does so on a storage that answers as the live service does."""

from collections.abc import Iterator

import pytest

from tests.service_storage import ServiceShapedStorage
from tests.support import LONG, Environment

# These modules read rows and pages of rows, where the service answers differently from Azurite. The others are about
# who may come in.
_READ_ROWS = ("test_accounts",)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Chooses the storage for each test; in the long run, both."""
    if "environment" in metafunc.fixturenames:
        storage = "service" if metafunc.module.__name__.rpartition(".")[2] in _READ_ROWS else "azurite"
        metafunc.parametrize("environment", ["azurite", "service"] if LONG else [storage], indirect=True)


@pytest.fixture
def environment(request: pytest.FixtureRequest, environment: Environment) -> Iterator[Environment]:
    """The settings of an app with plain Azurite, or with a storage that answers as the live service does."""
    if request.param == "azurite":
        yield environment
        return
    with ServiceShapedStorage(environment["AzureWebJobsStorage"]) as shaped:
        yield environment | {"TABLES_CONNECTION_STRING": shaped.connection_string}
