"""Counts what goes over the wire to the storage account, retries too."""

import threading
from collections import Counter
from typing import Any

from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient

from shared.clients.storage import CLIENT_OPTIONS

_READS = ("GET", "HEAD")


class CountingTransport(RequestsTransport):  # type: ignore[misc] # azure-core names it lazily, without a type
    """The SDK's own transport, and one more in `calls` for each HTTP request. A transaction is one request."""

    def __init__(self, calls: "StorageCalls") -> None:
        super().__init__(**CLIENT_OPTIONS)
        self._calls = calls

    def send(self, request: Any, **options: Any) -> Any:
        """One HTTP request."""
        self._calls.note(request.method)
        return super().send(request, **options)


class StorageCalls:
    """HTTP requests to the storage account by method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._methods: Counter[str] = Counter()

    def note(self, method: str) -> None:
        """One more."""
        with self._lock:
            self._methods[method] += 1

    def reset(self) -> None:
        """Back to zero."""
        with self._lock:
            self._methods.clear()

    @property
    def total(self) -> int:
        """All of them."""
        return self._methods.total()

    @property
    def writes(self) -> int:
        """Those that change something."""
        return sum(count for method, count in self._methods.items() if method not in _READS)

    def counted(self, connection_string: str) -> TableServiceClient:
        """A table service, as the app makes it, whose requests are counted here."""
        return TableServiceClient.from_connection_string(
            connection_string, transport=CountingTransport(self), **CLIENT_OPTIONS
        )
