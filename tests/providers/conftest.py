"""A provider that nobody here wrote, instead of the sample tenant."""

import contextlib
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from azure.data.tables import TableServiceClient

from localdev.azurite import Azurite
from localdev.openid_provider import OpenIdProvider, OpenIdProviderMissing
from shared.identity import SignedIn
from shared.sealing import new_key
from shared.services import Services
from tests.support import Environment

BASE_URL = "http://localhost:7071"
SignIn = Callable[..., SignedIn]


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
def environment(azurite: Azurite, tables: TableServiceClient, provider: OpenIdProvider) -> Environment:  # noqa: ARG001
    """The settings of an app that uses the provider and an empty storage account."""
    return {
        **provider.settings(BASE_URL),
        "AzureWebJobsStorage": azurite.connection_string,
        "BASE_URL": BASE_URL,
        "ENCRYPTION_KEYS": new_key("k1"),
        "SWEEP_SCHEDULE": "0 */5 * * * *",
        "AzureWebJobsDisableHomepage": "true",
    }


@pytest.fixture
def signed_in(provider: OpenIdProvider) -> SignIn:
    """Goes through the provider: `signed_in(app, "ada", prompt="consent", refuse="profile")`. Nothing is stored."""

    def sign_in(app: Services, person: str = "ada", *, prompt: str = "", refuse: str = "") -> SignedIn:
        url, flow = app.identity.begin_sign_in(prompt=prompt)
        callback = provider.sign_in(url, person, refuse=refuse)
        return app.identity.finish_sign_in(flow, dict(parse_qsl(urlsplit(callback).query)))

    return sign_in
