"""Counts HTTP requests to the storage account, with retries."""

import threading
from collections import Counter
from typing import Any

from azure.data.tables import TableServiceClient

from shared.clients.storage import CLIENT_OPTIONS, StorageTransport
from shared.clock import StorageClock

_READS = ("GET", "HEAD")


class CountingTransport(StorageTransport):
    """The app's transport, which counts each HTTP request in `calls`. A transaction is one request."""

    def __init__(self, calls: "StorageCalls", clock: StorageClock) -> None:
        super().__init__(clock)
        self._calls = calls

    def send(self, request: Any, **options: Any) -> Any:
        """Counts and sends one HTTP request."""
        self._calls.note(request.method)
        return super().send(request, **options)


class StorageCalls:
    """Counts of HTTP requests to the storage account, by method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._methods: Counter[str] = Counter()

    def note(self, method: str) -> None:
        """Counts one request."""
        with self._lock:
            self._methods[method] += 1

    def reset(self) -> None:
        """Sets the counts to zero."""
        with self._lock:
            self._methods.clear()

    @property
    def total(self) -> int:
        """All requests."""
        return self._methods.total()

    @property
    def writes(self) -> int:
        """Requests that change something."""
        return sum(count for method, count in self._methods.items() if method not in _READS)

    def counted(self, connection_string: str, clock: StorageClock) -> TableServiceClient:
        """A client of the table service whose requests are counted here. `clock` learns from its answers."""
        return TableServiceClient.from_connection_string(
            connection_string, transport=CountingTransport(self, clock), **CLIENT_OPTIONS
        )
