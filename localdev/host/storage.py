"""The storage account of a queue trigger, and clients for its queues."""

from collections.abc import Mapping

from azure.storage.queue import LinearRetry, QueueClient

from localdev import azurite
from localdev.host.errors import IndexingError
from localdev.host.indexing import IndexedFunction

# By default the SDK waits 15 seconds before its first retry, and the host can't end meanwhile.
_ONE_RETRY = LinearRetry(backoff=1, retry_total=1, random_jitter_range=0)


def connection_string(function: IndexedFunction, settings: Mapping[str, str]) -> str:
    """The connection string in the setting that the function's binding names.

    Raises:
        IndexingError: There is none.
    """
    name = str(function.trigger.properties.get("connection") or "AzureWebJobsStorage")
    value = settings.get(f"AzureWebJobs{name}") or settings.get(name)
    if not value:
        raise IndexingError(
            f"the setting {name} is absent; the local host needs a connection string there", function=function.name
        )
    if value.strip().rstrip(";").lower() != "usedevelopmentstorage=true":
        return value
    account = f"AccountName={azurite.ACCOUNT};AccountKey={azurite.ACCOUNT_KEY}"
    place = f"http://127.0.0.1:{azurite.STANDARD_PORTS['queue']}/{azurite.ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;{account};QueueEndpoint={place};"


def client(function: IndexedFunction, connection: str, queue: str) -> QueueClient:
    """A client for one queue. It decodes nothing: a message that can't be decoded must be moved unchanged.

    Raises:
        IndexingError: The connection string can't be used.
    """
    try:
        return QueueClient.from_connection_string(connection, queue, retry_policy=_ONE_RETRY)
    except ValueError as error:
        raise IndexingError(f"its storage connection can't be used: {error}", function=function.name) from error
