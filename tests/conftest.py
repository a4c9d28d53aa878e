"""Real parts for every test: Azurite and the sample tenant are started once, the app anew for each test."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient
from hypothesis import HealthCheck, settings

from localdev.azurite import Azurite
from localdev.host import IndexedFunction, LocalHost, index, load_app
from localdev.host.config import HostConfig
from localdev.tenant import SampleTenant
from shared.clients.storage import CLIENT_OPTIONS
from shared.errors import SettingsError
from shared.sealing import new_key
from shared.services import Services, services
from shared.settings import documented, load
from tests.running_app import Clock, RunningApp
from tests.support import LONG, ROOT, Environment

# No test is timed. Each run tries the same examples, so that a failure points to the change under test.
# `--hypothesis-profile=search` and `dev.py test --long` try others, and more of them.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", settings.get_profile("same"), derandomize=False, max_examples=1000)
settings.load_profile("search" if LONG else "same")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hides this machine's settings from each test, closes the app's parts after it, and has logging forget the app's
    secrets: a redactor that learns those of every test takes longer with each."""
    make_record = logging.getLogRecordFactory()
    for name, _, _ in documented():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    services.cache_clear()
    yield
    _end_services()
    logging.setLogRecordFactory(make_record)


def _end_services() -> None:
    if services.cache_info().currsize:
        services().close()
    services.cache_clear()


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Table and Queue services in memory, for the whole session."""
    with Azurite() as running:
        yield running


@pytest.fixture
def tables(azurite: Azurite) -> Iterator[TableServiceClient]:
    """A table service without tables."""
    with TableServiceClient.from_connection_string(azurite.connection_string, **CLIENT_OPTIONS) as service:
        for table in service.list_tables():
            service.delete_table(table.name)
        yield service


@pytest.fixture
def queues(azurite: Azurite) -> Iterator[QueueServiceClient]:
    """A queue service without queues."""
    with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
        for queue in service.list_queues():
            service.delete_queue(queue.name)
        yield service


@pytest.fixture(scope="session")
def _sample_tenant() -> Iterator[SampleTenant]:
    with SampleTenant() as running:
        yield running


@pytest.fixture
def sample_tenant(_sample_tenant: SampleTenant) -> SampleTenant:
    """A sample tenant in its first state. Its access tokens are so short-lived that MSAL renews them at every turn."""
    _sample_tenant.reset()
    _sample_tenant.change_settings(access_token_lifetime=200)
    return _sample_tenant


@pytest.fixture
def environment(azurite: Azurite, tables: TableServiceClient, sample_tenant: SampleTenant) -> Environment:
    """The settings of an app that uses the sample tenant and an empty storage account."""
    return {
        **sample_tenant.settings("http://localhost:7071"),
        "AzureWebJobsStorage": azurite.connection_string,
        "BASE_URL": "http://localhost:7071",
        "ENCRYPTION_KEYS": new_key("k1"),
        "SWEEP_SCHEDULE": "0 */5 * * * *",
        "AzureWebJobsDisableHomepage": "true",
    }


@pytest.fixture
def make_services(environment: Environment) -> Iterator[Callable[..., Services]]:
    """Makes the app's parts without a host. Takes settings by name, and other arguments of `Services`:
    `make_services(SCOPES="…", clock=clock, store=store)`. Leases have the same clock; with `lease_clock=None` they have
    the storage's. All parts are closed afterwards."""
    made: list[Services] = []

    def make(*, clock: Clock | None = None, **changes: Any) -> Services:
        settings = {name: value for name, value in changes.items() if name[0].isupper()}
        parts = {name: part for name, part in changes.items() if name not in settings}
        given = clock or Clock()
        made.append(Services(load(environment | settings), **{"now": given, "lease_clock": given, **parts}))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def functions() -> tuple[IndexedFunction, ...]:
    """The app's functions, indexed once: an app object returns them only once."""
    return index(load_app(ROOT))


@pytest.fixture
def start_app(
    functions: tuple[IndexedFunction, ...],
    environment: Environment,
    sample_tenant: SampleTenant,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., RunningApp]]:
    """Starts the app: `start_app(SCOPES="…")`. Tests fire its timer themselves. A second start is a restart."""
    hosts: list[LocalHost] = []
    clock = Clock()

    def start(**changes: str) -> RunningApp:
        for host in hosts:
            host.stop()
        _end_services()
        config = HostConfig.load(ROOT)
        port = hosts[-1].port if hosts else 0
        hosts.append(LocalHost(functions, host_json=config, settings=environment, port=port, triggers=False).start())
        url = f"http://localhost:{hosts[-1].port}"
        sample_tenant.settings(url)
        for name, value in (environment | {"BASE_URL": url} | changes).items():
            monkeypatch.setenv(name, value)
        running = RunningApp(hosts[-1], url, sample_tenant, clock)
        with contextlib.suppress(SettingsError):
            running.services.now = running.services.lease_clock = clock
        return running

    yield start
    for host in hosts:
        host.stop()


@pytest.fixture
def app(start_app: Callable[..., RunningApp]) -> RunningApp:
    """The app, running."""
    return start_app()


def pytest_report_header() -> str:
    """Shows whether REQUESTS_CA_BUNDLE is set: code and tests must work with it and without it."""
    return f"REQUESTS_CA_BUNDLE {'set' if os.environ.get('REQUESTS_CA_BUNDLE') else 'not set'}"
