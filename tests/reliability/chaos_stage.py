"""The processes of a campaign: Azurite, the sample tenant, and two hosts with a road each."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from localdev import ports
from localdev.azurite import ACCOUNT_KEY, Azurite
from localdev.lifeline import Child
from shared.accounts.model import slot_of
from shared.sealing import KeyRing, new_key
from tests.reliability.chaos_evidence import Hint, Look, Row, seconds_of
from tests.reliability.chaos_roads import QueueRoad, TableRoad, Weather, tokens_in
from tests.support import ROOT

EVERY, ABSENT, TICK = 8, 3, 4
_START_SECONDS = 60.0
_NO_PROXY = {"NO_PROXY": "localhost,127.0.0.1", "PYTHONUNBUFFERED": "1"}


class Tenant:
    """The sample tenant's process, and its control API."""

    def __init__(self, rotation: str, folder: Path) -> None:
        self.file = folder / "token-requests.jsonl"
        self.secrets = folder / "token-requests.jsonl.secrets"
        self.child = Child(
            ["tests.reliability.chaos_tenant", rotation, str(self.file)],
            folder=ROOT,
            environment={**os.environ, **_NO_PROXY},
            output=subprocess.PIPE,
        )
        assert self.child.process.stdout
        self.facts: dict[str, Any] = json.loads(self.child.process.stdout.readline())
        self._http = requests.Session()
        self._http.trust_env = False

    def stop(self) -> None:
        """Ends the process."""
        self._http.close()
        self.child.stop()
        if self.child.process.stdout:
            self.child.process.stdout.close()

    def control(self, method: str, path: str, values: dict[str, Any] | None = None) -> Any:
        """One call of the control API."""
        url = f"{self.facts['page_url']}/control/{quote(path, safe='/@')}"
        answer = self._http.request(method, url, json=values if values is not None else {}, timeout=60)
        answer.raise_for_status()
        return answer.json()


class Host:
    """One host: the app under `python -m localdev.host`, its road to the storage, and its log.

    Attributes:
        state: down, starting, up or paused.
    """

    def __init__(
        self,
        number: int,
        port: int,
        settings: dict[str, str],
        roads: tuple[TableRoad, QueueRoad],
        log: Path,
        tree: Path,
    ) -> None:
        self.number, self.url, self.log = number, f"http://localhost:{port}", log
        self.tables, self.queues = roads
        self.weather = self.tables.weather
        self._port, self._settings, self._tree = port, settings, tree
        self._output = log.open("ab")
        self.state = "down"

    def start(self) -> None:
        """Starts the process."""
        none = str(self.log.with_name("no-settings.json"))
        self._child = Child(
            ["localdev.host", "--app", str(self._tree), "--port", str(self._port), "--settings", none],
            folder=self._tree,
            environment={**os.environ, **self._settings, **_NO_PROXY},
            output=self._output,
        )
        self.state = "starting"

    def wait_until_ready(self) -> None:
        """Returns when it answers."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._child.process.poll() is None:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.url}/healthz", timeout=5).ok:
                    self.state = "up"
                    return
            time.sleep(0.1)
        raise RuntimeError(f"host {self.number} did not start:\n{self.said()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        self._child.process.kill()
        self._child.process.wait()
        self.state = "down"

    def pause(self) -> None:
        """SIGSTOP."""
        self._child.process.send_signal(signal.SIGSTOP)
        self.state = "paused"

    def go_on(self) -> None:
        """SIGCONT."""
        self._child.process.send_signal(signal.SIGCONT)
        self.state = "up"

    def stop(self) -> None:
        """Ends the process."""
        if self.state == "paused":
            self.go_on()
        if self.state != "down":
            self._child.stop()
        self._output.close()

    def said(self) -> str:
        """Its log."""
        return self.log.read_text("utf-8", errors="replace")


@dataclass
class Stage:
    """Everything that runs."""

    azurite: Azurite
    tenant: Tenant
    hosts: tuple[Host, Host]
    keys: KeyRing
    folder: Path
    secrets: set[str]

    def __post_init__(self) -> None:
        text = self.azurite.connection_string
        self._tables = TableServiceClient.from_connection_string(text)
        self._accounts = self._tables.get_table_client("Accounts")
        self._slots = self._tables.get_table_client("Slots")
        self._queues = QueueServiceClient.from_connection_string(text)

    def close(self) -> None:
        """Ends our own connections."""
        self._tables.close()
        self._queues.close()

    def look(self) -> Look:
        """Reads both tables directly."""
        begin = time.time()
        rows = [self._row(each, str(each.metadata["etag"])) for each in self._accounts.list_entities()]
        hints = {str(each["RowKey"]): _hint(each, begin) for each in self._slots.list_entities()}
        return Look(begin, time.time(), {each.account: each for each in rows}, hints)

    def _row(self, entity: Any, etag: str) -> Row:
        account = str(entity["AccountId"])
        return Row(
            account=account,
            slot=slot_of(account),
            etag=etag,
            state=str(entity.get("State")),
            due_at=seconds_of(entity.get("DueAt")),
            last_activity=seconds_of(entity.get("LastActivity")),
            last_swept_at=seconds_of(entity.get("LastSweptAt")),
            failure=str(entity.get("FailureCode") or ""),
            failure_first_at=entity["FailureFirstAt"].isoformat() if entity.get("FailureFirstAt") else "",
            notified=bool(entity.get("NotifiedAt")),
            tokens=tokens_in(dict(entity), account, self.keys),
        )

    def queue_slot(self, slot: str) -> None:
        """Puts a slot's message on the queue."""
        self._queues.get_queue_client("sweep-slots", message_encode_policy=TextBase64EncodePolicy()).send_message(slot)

    def take_notifications(self) -> list[str]:
        """Takes all messages from the queue; returns their ids."""
        queue = self._queues.get_queue_client("sign-in-required", message_decode_policy=TextBase64DecodePolicy())
        return [str(json.loads(each.content)["id"]) for each in queue.receive_messages(messages_per_page=32)]


def _hint(entity: Any, now: float) -> Hint:
    claimed = seconds_of(entity.get("ClaimedUntil")) > now or bool(entity.get("ClaimOwner"))
    return Hint(str(entity.metadata["etag"]), seconds_of(entity.get("NextDueAt")), claimed)


@contextlib.contextmanager
def staged(seed: int, rotation: str, folder: Path, *, tree: Path = ROOT) -> Iterator[Stage]:
    """Starts everything, and ends everything.

    Args:
        folder: for logs and what the tenant writes down.
        tree: the app's source: this project, or a changed copy.
    """
    with contextlib.ExitStack() as stack:
        azurite = stack.enter_context(Azurite())
        _make_tables_and_queues(azurite.connection_string)
        tenant = Tenant(rotation, folder)
        stack.callback(tenant.stop)
        entry = new_key("chaos")
        keys, numbers = KeyRing.parse(entry), ports.free(2)
        tenant_settings = tenant.facts["settings"]
        shared = {
            **tenant_settings,
            "BASE_URL": f"http://localhost:{numbers[0]}",
            "ENCRYPTION_KEYS": entry,
            "REFRESH_TOKEN_ROTATION": rotation,
            "SWEEP_SCHEDULE": f"*/{TICK} * * * * *",
            "SWEEP_EVERY": f"{EVERY}s",
            "ABSENT_AFTER": f"{ABSENT}s",
            "SWEEP_CONCURRENCY": "4",
            "AzureWebJobsDisableHomepage": "true",
        }
        hosts = []
        for number, port in enumerate(numbers):
            weather = Weather(f"{seed} {number}")
            road = stack.enter_context(TableRoad(azurite.connection_string, number, weather, keys))
            queue_road = stack.enter_context(QueueRoad(azurite.connection_string, number, weather))
            settings = shared | {
                "TABLES_CONNECTION_STRING": road.connection_string,
                "AzureWebJobsStorage": queue_road.connection_string,
                "SWEEP_FANOUT": ("inline", "queue")[number],
            }
            hosts.append(Host(number, port, settings, (road, queue_road), folder / f"host{number}.log", tree))
            hosts[-1].start()
            stack.callback(hosts[-1].stop)
        for host in hosts:
            host.wait_until_ready()
        secrets = {tenant_settings["CLIENT_SECRET"], entry.partition(":")[2], ACCOUNT_KEY}
        stage = Stage(azurite, tenant, (hosts[0], hosts[1]), keys, folder, secrets)
        stack.callback(stage.close)
        yield stage


def _make_tables_and_queues(connection_string: str) -> None:
    with TableServiceClient.from_connection_string(connection_string) as tables:
        for table in ("Accounts", "Slots", "Sweeps"):
            tables.create_table(table)
    with QueueServiceClient.from_connection_string(connection_string) as queues:
        for queue in ("sweep-slots", "sign-in-required"):
            queues.create_queue(queue)
