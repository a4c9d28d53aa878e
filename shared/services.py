"""Everything that is made once a process, lazily, in one place. Nothing is made at import."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property

import requests
from azure.core.credentials import TokenCredential
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient
from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueServiceClient
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from shared import redaction, telemetry
from shared.access import PATIENCE_SECONDS, Access
from shared.accounts import utc_now
from shared.graph import Graph
from shared.health import Health
from shared.identity import Identity
from shared.lifecycle import Lifecycle
from shared.pace import Pace
from shared.queues import Queues
from shared.session import Sessions
from shared.settings import Settings, from_environment
from shared.store import AccountStore, TableAccountStore
from shared.store.table import CLIENT_OPTIONS
from shared.transport import HttpClient

_AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)  # the well-known account of every Azurite: "Use the Azurite emulator"
_STORAGE_CONNECTIONS = 64


class Services:
    """The app's parts, each made when it is first asked for."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.now = now

    def close(self) -> None:
        """Ends threads and connections. A Functions process never does; tests and tools do."""
        for name in ("health", "workers", "http", "tables", "queues"):
            part = self.__dict__.get(name)
            if name == "workers" and part:
                part.shutdown()
            elif part:
                part.close()

    @cached_property
    def http(self) -> HttpClient:
        """One connection pool for MSAL and Graph."""
        bundle = self.settings.ca_bundle or self.settings.ssl_cert_file
        return HttpClient(ca_bundle=bundle, pool_size=self.settings.sweep_concurrency)

    @cached_property
    def store(self) -> AccountStore:
        """Accounts in Azure Table Storage."""
        return TableAccountStore(self.tables)

    @cached_property
    def tables(self) -> TableServiceClient:
        """The storage account's table service."""
        return table_service(self.settings)

    @cached_property
    def queues(self) -> Queues:
        """The queues beside the Functions host's own."""
        return Queues(queue_service(self.settings))

    @cached_property
    def identity(self) -> Identity:
        """MSAL."""
        return Identity(self.settings, self.http, now=self.now)

    @cached_property
    def lifecycle(self) -> Lifecycle:
        """What happens to accounts."""
        return Lifecycle.of(self.settings)

    @cached_property
    def sessions(self) -> Sessions:
        """Cookies."""
        return Sessions(self.settings, now=self.now)

    @cached_property
    def access(self) -> Access:
        """Tokens for people who are here."""
        patience = PATIENCE_SECONDS if self.settings.strict_rotation else ()
        return Access(
            self.store, self.identity, self.settings.key_ring, self.lifecycle, now=self.now, patience=patience
        )

    @cached_property
    def health(self) -> Health:
        """Whether what this instance depends on answers."""
        return Health(self.settings, self.store, self.http, self.identity.discovery_url, now=self.now)

    @cached_property
    def pace(self) -> Pace:
        """How fast the token endpoint may be asked for people who are away."""
        return Pace()

    @cached_property
    def workers(self) -> ThreadPoolExecutor:
        """The threads of all sweeps in this process."""
        return ThreadPoolExecutor(self.settings.sweep_concurrency, thread_name_prefix="sweep")

    def graph(self, access_token: str, *, until: datetime | None = None) -> Graph:
        """Microsoft Graph for one person."""
        return Graph(self.http, self.settings.graph_url, access_token, until=until, now=self.now)


@functools.cache
def services() -> Services:
    """The process's parts, by its environment. Before it gives any: no secret of theirs is logged from now on. Raises
    SettingsError."""
    settings = from_environment()
    redaction.install(settings)
    return Services(settings)


def table_service(settings: Settings) -> TableServiceClient:
    """A client of the storage account that holds the tables: by connection string, or by endpoint and managed
    identity."""
    text = settings.tables_connection_string or ("" if settings.tables_endpoint else settings.storage_connection_string)
    if text:
        text = _AZURITE if text == "UseDevelopmentStorage=true" else text
        return TableServiceClient.from_connection_string(text, transport=_transport(), **CLIENT_OPTIONS)
    endpoint = settings.tables_endpoint or settings.storage_table_uri
    endpoint = endpoint or f"https://{settings.storage_account_name}.table.core.windows.net"
    return TableServiceClient(
        endpoint, credential=_managed_identity(settings), transport=_transport(), **CLIENT_OPTIONS
    )


def _transport() -> RequestsTransport:
    """The SDK's own, with a connection for each thread that may ask: its ten are too few for sixteen slots and the
    requests beside them."""
    session = requests.Session()
    session.hooks["response"].append(telemetry.storage_answered)
    never = Retry(total=False, redirect=False, raise_on_status=False)  # the SDK's own policy decides
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=_STORAGE_CONNECTIONS, max_retries=never))
    return RequestsTransport(session=session)


def queue_service(settings: Settings) -> QueueServiceClient:
    """A client of the storage account that the Functions host watches for messages."""
    text = settings.storage_connection_string
    if text:
        text = _AZURITE if text == "UseDevelopmentStorage=true" else text
        return QueueServiceClient.from_connection_string(text, **CLIENT_OPTIONS)
    endpoint = settings.storage_queue_uri or f"https://{settings.storage_account_name}.queue.core.windows.net"
    return QueueServiceClient(endpoint, credential=_managed_identity(settings), **CLIENT_OPTIONS)


def _managed_identity(settings: Settings) -> TokenCredential:
    return DefaultAzureCredential(managed_identity_client_id=settings.storage_client_id or None)
