"""Operators' pages, on plain Azurite and on a storage that answers as the live service does."""

from collections.abc import Iterator

import pytest

from tests.service_storage import ServiceShapedStorage
from tests.support import Environment


@pytest.fixture(params=["azurite", "service"])
def environment(request: pytest.FixtureRequest, environment: Environment) -> Iterator[Environment]:
    """The settings of an app with each of the two."""
    if request.param == "azurite":
        yield environment
        return
    with ServiceShapedStorage(environment["AzureWebJobsStorage"]) as shaped:
        yield environment | {"TABLES_CONNECTION_STRING": shaped.connection_string}
