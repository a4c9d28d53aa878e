"""A provider that nobody here wrote, instead of the sample tenant."""

import contextlib
from collections.abc import Iterator

import pytest
from azure.data.tables import TableServiceClient

from localdev.azurite import Azurite
from localdev.openid_provider import OpenIdProvider, OpenIdProviderMissing
from shared.sealing import new_key
from tests.support import Environment

BASE_URL = "http://localhost:7071"


@pytest.fixture(scope="session")
def _provider() -> Iterator[OpenIdProvider]:
    with contextlib.ExitStack() as ending:
        try:
            running = ending.enter_context(OpenIdProvider())
        except OpenIdProviderMissing as missing:
            pytest.skip(str(missing))
        yield running


@pytest.fixture
def provider(_provider: OpenIdProvider) -> OpenIdProvider:
    """The certified provider, in its first state and with its authors' configuration."""
    _provider.reset()
    return _provider


@pytest.fixture
def environment(azurite: Azurite, tables: TableServiceClient, provider: OpenIdProvider) -> Environment:
    """The settings of an app that uses the provider and an empty storage account."""
    return {
        **provider.settings(BASE_URL),
        "AzureWebJobsStorage": azurite.connection_string,
        "BASE_URL": BASE_URL,
        "ENCRYPTION_KEYS": new_key("k1"),
        "SWEEP_SCHEDULE": "0 */5 * * * *",
        "AzureWebJobsDisableHomepage": "true",
    }
