"""Makes clients of the storage account: of its tables, and of its queues."""

from collections.abc import Mapping
from typing import Any

import requests
from azure.core.credentials import TokenCredential
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient
from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueServiceClient
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from shared import telemetry
from shared.clock import StorageClock
from shared.settings import Settings

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 8.0  # a query may take five: "Query timeout and pagination"
_RETRY_SECONDS = 9.0  # no attempt begins later than this after the first one
_LONGEST_PAUSE = 2.0  # between two attempts
LONGEST_CALL_SECONDS = _RETRY_SECONDS + _CONNECT_SECONDS + _READ_SECONDS + _LONGEST_PAUSE
CLIENT_OPTIONS: Mapping[str, Any] = {
    "retry_total": 3,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": _LONGEST_PAUSE,
    "timeout": _RETRY_SECONDS,
    "connection_timeout": _CONNECT_SECONDS,
    "read_timeout": _READ_SECONDS,
    "logging_enable": False,
}
_AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)  # the well-known account of every Azurite: "Use the Azurite emulator"
_STORAGE_CONNECTIONS = 64


def table_service(settings: Settings, clock: StorageClock) -> TableServiceClient:
    """A client of the storage account that holds the tables: by connection string, or by endpoint and managed
    identity. `clock` learns from its answers."""
    text = settings.tables_connection_string or ("" if settings.tables_endpoint else settings.storage_connection_string)
    transport = StorageTransport(clock)
    if text:
        text = _AZURITE if text == "UseDevelopmentStorage=true" else text
        return TableServiceClient.from_connection_string(text, transport=transport, **CLIENT_OPTIONS)
    endpoint = settings.tables_endpoint or settings.storage_table_uri
    endpoint = endpoint or f"https://{settings.storage_account_name}.table.core.windows.net"
    return TableServiceClient(endpoint, credential=_managed_identity(settings), transport=transport, **CLIENT_OPTIONS)


class StorageTransport(RequestsTransport):  # type: ignore[misc] # azure-core names it lazily, without a type
    """The SDK's own transport with more connections: its ten are too few for the sixteen slots and HTTP requests.

    It keeps our time-outs: the SDK applies a client's to a transport that it makes itself, and otherwise 300 seconds
    (azure-core, `ConnectionConfiguration` in configuration.py).
    """

    def __init__(self, clock: StorageClock) -> None:
        session = requests.Session()
        session.hooks["response"].append(telemetry.storage_answered)
        for scheme in ("https://", "http://"):
            session.mount(scheme, _TimedAdapter(clock))
        super().__init__(session=session, connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS)


class _TimedAdapter(HTTPAdapter):
    """Tells the clock about the service's answers. Those of a proxy in between have no request id of the service
    ("Common REST API response headers").

    It shortens a Retry-After. The SDK would wait for it whole, and looks at its `timeout` only afterwards
    (azure-data-tables, `TablesRetryPolicy.send` in _policies.py).
    """

    def __init__(self, clock: StorageClock) -> None:
        never = Retry(total=False, redirect=False, raise_on_status=False)  # the SDK's retry policy decides alone
        super().__init__(pool_maxsize=_STORAGE_CONNECTIONS, max_retries=never)
        self._clock = clock

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """See HTTPAdapter."""
        sent = self._clock.seconds()
        response = super().send(request, *args, **options)
        if "x-ms-request-id" in response.headers:
            self._clock.hear(response.headers.get("Date", ""), sent=sent, received=self._clock.seconds())
        if response.headers.get("Retry-After") not in (None, "0", "1"):
            response.headers["Retry-After"] = f"{_LONGEST_PAUSE:g}"
        return response


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
