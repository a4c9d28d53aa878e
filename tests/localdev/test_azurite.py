"""Azurite as a child process: real services, real SDK."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient

from localdev.azurite import Azurite, AzuriteError, PortInUse
from tests.support import ROOT, wait_until

HOLDER = """
import sys, time
from localdev.azurite import Azurite
azurite = Azurite().start()
print(*azurite.ports.values(), flush=True)
time.sleep(60)
"""


def tables(azurite: Azurite) -> TableServiceClient:
    """A client that does not try again."""
    return TableServiceClient.from_connection_string(azurite.connection_string, retry_total=0)


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_table_and_queue_services_work_and_end() -> None:
    """The SDKs can use both through the connection string; afterwards nobody listens."""
    with Azurite() as azurite:
        ports = azurite.ports
        with tables(azurite) as service, service.create_table("People") as people:
            people.create_entity({"PartitionKey": "a", "RowKey": "b"})
            assert [row["RowKey"] for row in people.list_entities()] == ["b"]
        with QueueClient.from_connection_string(azurite.connection_string, "slots") as queue:
            queue.create_queue()
            queue.send_message("one")
            assert [message.content for message in queue.receive_messages()] == ["one"]
        assert azurite.ended() is None
    assert sorted(ports) == ["queue", "table"]
    assert not any(listens(port) for port in ports.values())


def test_memory_is_forgotten_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder, a second start knows nothing of the first, and the working folder stays empty."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with Azurite() as azurite, tables(azurite) as service:
            assert list(service.list_tables()) == []
            service.create_table("People").close()
    assert list(tmp_path.iterdir()) == []


def test_folder_keeps_data_over_a_restart(tmp_path: Path) -> None:
    """A row written just before the end is there after the next start, on another port."""
    with Azurite(tmp_path / "data") as azurite, tables(azurite) as service, service.create_table("People") as people:
        people.create_entity({"PartitionKey": "a", "RowKey": "kept"})
    with (
        Azurite(tmp_path / "data") as azurite,
        tables(azurite) as service,
        service.get_table_client("People") as people,
    ):
        assert [row["RowKey"] for row in people.list_entities()] == ["kept"]


def test_blob_service_is_started_on_request() -> None:
    """Core Tools' host needs it; the connection string then names it too."""
    with Azurite(blob=True) as azurite:
        assert sorted(azurite.ports) == ["blob", "queue", "table"]
        assert f"BlobEndpoint=http://127.0.0.1:{azurite.ports['blob']}/devstoreaccount1" in azurite.connection_string
        assert listens(azurite.ports["blob"])


def test_port_in_use_is_named_and_nothing_stays() -> None:
    """A taken port is an error with its number, and the services that had started are ended."""
    with socket.socket() as taken, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
        probe.close()
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        azurite = Azurite(ports={"queue": free, "table": port})
        with pytest.raises(PortInUse, match=f"port {port} .*table") as caught:
            azurite.start()
    assert (caught.value.service, caught.value.port) == ("table", port)
    assert isinstance(caught.value, AzuriteError)
    assert azurite.pids == ()
    assert not listens(free)


def test_service_that_died_is_reported() -> None:
    """A supervisor can ask which service has ended by itself."""
    with Azurite() as azurite:
        os.kill(azurite.pids[0], signal.SIGTERM)
        wait_until(lambda: azurite.ended() is not None, "Azurite notices that a service ended")
        assert azurite.ended() == "queue"


def test_stop_twice_is_once() -> None:
    """The second stop has nothing to do, and a stopped service refuses connections."""
    azurite = Azurite().start()
    with tables(azurite) as service:
        azurite.stop()
        azurite.stop()
        with pytest.raises(ServiceRequestError):
            list(service.list_tables())


def test_services_end_when_their_parent_is_killed() -> None:
    """Even a parent that could not tidy up leaves no service behind."""
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        ports = [int(port) for port in holder.stdout.readline().split()]
        assert len(ports) == 2
        assert all(listens(port) for port in ports)
        holder.kill()
    wait_until(lambda: not any(listens(port) for port in ports), "both services end")
