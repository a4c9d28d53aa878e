"""The storage account's client: how long a call can last, and whose clock it listens to."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.core.exceptions import AzureError, ServiceResponseTimeoutError
from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import HttpRequest
from azure.data.tables import TableServiceClient
from azure.data.tables._policies import TablesRetryPolicy

from localdev.azurite import ACCOUNT_KEY
from shared.clients.storage import CLIENT_OPTIONS, LONGEST_CALL_SECONDS, StorageTransport, table_service
from shared.clock import StorageClock
from shared.settings import load
from tests.support import Environment


@contextmanager
def answering(head: str, body: str) -> Iterator[int]:
    """A server that gives this answer to every request; and its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    answer = f"{head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def client(environment: Environment, port: int, clock: StorageClock) -> TableServiceClient:
    """The app's client of the storage at this port."""
    endpoint = f"TableEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    text = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={ACCOUNT_KEY};{endpoint}"
    return table_service(load(environment | {"TABLES_CONNECTION_STRING": text}), clock)


@dataclass
class SlowRoad:
    """A transport whose every request fails after some seconds, which pass on its own clock."""

    each: float
    now: float = 0.0
    sent: list[float] = field(default_factory=list)

    def send(self, *_: Any, **__: Any) -> Any:
        """No answer comes."""
        self.sent.append(self.now)
        self.now += self.each
        raise ServiceResponseTimeoutError("silence")

    def sleep(self, seconds: float) -> None:
        """Waits between two attempts."""
        self.now += seconds

    def __enter__(self) -> "SlowRoad":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("each", [0.1, 2.9, 4.4, 8.9, 11.0])
def test_a_call_with_all_its_retries_lasts_no_longer_than_is_said(each: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own retry policy, with our options, on a road where each attempt takes that many seconds to fail. The
    longest time of one attempt is that of its two time-outs."""
    assert CLIENT_OPTIONS["connection_timeout"] + CLIENT_OPTIONS["read_timeout"] == 11
    road = SlowRoad(each)
    pipeline = Pipeline(transport=road, policies=[TablesRetryPolicy(**CLIENT_OPTIONS)])  # type: ignore[arg-type,no-untyped-call]
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: road.now)
        with pytest.raises(AzureError):
            pipeline.run(HttpRequest("PUT", "http://storage.invalid/"), hosts={}, location_mode="primary")
    assert road.now <= LONGEST_CALL_SECONDS
    assert len(road.sent) > 1 or each > 9


def test_the_transport_keeps_our_time_outs() -> None:
    """The SDK gives a transport that it didn't make 300 seconds for each."""
    known = StorageTransport(StorageClock()).connection_config
    assert (known.timeout, known.read_timeout) == (CLIENT_OPTIONS["connection_timeout"], CLIENT_OPTIONS["read_timeout"])


def test_a_long_retry_after_is_not_waited_for_whole(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a write would outlast its lease: the SDK waits as long as it is told."""
    waits: list[float] = []
    busy = "HTTP/1.1 503 Server Busy\r\nRetry-After: 120\r\nx-ms-error-code: ServerBusy"
    with answering(busy, "") as port, client(environment, port, StorageClock()) as service:
        monkeypatch.setattr(time, "sleep", waits.append)
        with pytest.raises(AzureError):
            service.get_table_client("Slots").get_entity("00", "00")
    assert waits == [2, 2, 2]


@pytest.mark.parametrize(("mark", "heard"), [("\r\nx-ms-request-id: 1", True), ("", False)])
def test_the_clock_learns_from_the_service_and_not_from_a_proxy(
    environment: Environment, mark: str, heard: bool
) -> None:
    """Every answer of the service has a request id. An answer that has none was made elsewhere, by another clock."""
    clock = StorageClock()
    head = f"HTTP/1.1 404 Not Found\r\nDate: Thu, 01 Jan 2032 00:00:00 GMT{mark}"
    with answering(head, "") as port, client(environment, port, clock) as service, pytest.raises(AzureError):
        service.get_table_client("Slots").get_entity("00", "00")
    assert bool(re.match("2032", clock().isoformat())) is heard
