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
from shared.settings import Settings

CLIENT_OPTIONS: Mapping[str, Any] = {
    "retry_total": 3,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 2,
    "connection_timeout": 5,
    "read_timeout": 15,
    "logging_enable": False,
}
_AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)  # the well-known account of every Azurite: "Use the Azurite emulator"
_STORAGE_CONNECTIONS = 64


def table_service(settings: Settings) -> TableServiceClient:
    """A client of the storage account that holds the tables: by connection string, or by endpoint and managed
    identity."""
    text = settings.tables_connection_string or ("" if settings.tables_endpoint else settings.storage_connection_string)
    transport = _transport()
    if text:
        text = _AZURITE if text == "UseDevelopmentStorage=true" else text
        return TableServiceClient.from_connection_string(text, transport=transport, **CLIENT_OPTIONS)
    endpoint = settings.tables_endpoint or settings.storage_table_uri
    endpoint = endpoint or f"https://{settings.storage_account_name}.table.core.windows.net"
    return TableServiceClient(endpoint, credential=_managed_identity(settings), transport=transport, **CLIENT_OPTIONS)


def _transport() -> RequestsTransport:
    """The SDK's own transport with more connections: its ten are too few for the sixteen slots and HTTP requests."""
    session = requests.Session()
    session.hooks["response"].append(telemetry.storage_answered)
    never = Retry(total=False, redirect=False, raise_on_status=False)  # the SDK's retry policy decides alone
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
