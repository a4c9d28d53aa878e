"""Can this instance do its work: do storage and authority answer, do sweeps happen? For monitors, at GET /readyz."""

import functools
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.clients.answers import Unavailable, json_object
from shared.clients.http import HttpClient
from shared.errors import StoreError
from shared.monitoring.heartbeat import RECORDS, heartbeat
from shared.monitoring.timer_schedule import longest_gap
from shared.settings import Settings
from shared.store import AccountStore

SECONDS = 3.0
_HOST_JSON = Path(__file__).parents[2] / "host.json"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `detail` names the trouble in a word or two, never an address or a secret."""

    ok: bool
    detail: str = ""


class Readiness:
    """Checks what this instance depends on.

    Each check has one thread, so that requests don't pile up behind a service that hangs.

    Args:
        discovery_url: the authority's discovery document.
        seconds: a check without an answer by then has failed.
    """

    def __init__(
        self,
        settings: Settings,
        store: AccountStore,
        http: HttpClient,
        discovery_url: str,
        *,
        now: Callable[[], datetime],
        seconds: float = SECONDS,
    ) -> None:
        self._tick = longest_gap(settings.sweep_schedule)
        self._known = {
            "threads": Check(ok=True, detail=thread_shortage(settings)),
            "operators": Check(ok=True, detail=closed_to_operators(settings)),
        }
        self._store = store
        self._http = http
        self._discovery_url = discovery_url
        self._now = now
        self._seconds = seconds
        self._threads = {name: ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("storage", "authority")}
        self._asked: dict[str, Future[dict[str, Check]]] = {}

    def checks(self) -> dict[str, Check]:
        """By name: `storage`, `authority` and `heartbeat`, all at the same time; and two that only warn.

        `threads`: where HTTP and queues have instances of their own, a few threads are enough. `operators`: everything
        else works while their pages are closed.
        """
        asked = {"storage": self._ask("storage", self._storage), "authority": self._ask("authority", self._authority)}
        found: dict[str, Check] = {}
        for name, future in asked.items():
            try:
                found |= future.result(self._seconds)
            except OutOfTime:
                found[name] = Check(ok=False, detail="timeout")
        return {"heartbeat": Check(ok=False, detail="unknown")} | self._known | found

    def close(self) -> None:
        """Ends its threads."""
        for threads in self._threads.values():
            threads.shutdown()

    def _ask(self, name: str, check: Callable[[], dict[str, Check]]) -> Future[dict[str, Check]]:
        """Starts a check, or joins the one under way: there is one at a time."""
        known = self._asked.get(name)
        if known is None or known.done():
            known = self._asked[name] = self._threads[name].submit(check)
        return known

    def _storage(self) -> dict[str, Check]:
        try:
            return {"heartbeat": self._heartbeat(), "storage": Check(ok=True)}
        except StoreError as error:
            return {"storage": Check(ok=False, detail=str(error))}

    def _heartbeat(self) -> Check:
        beat = heartbeat(self._store.slots(), self._store.recent_sweeps(RECORDS), self._now(), self._tick)
        if beat.state == "missing":
            minutes = beat.late // timedelta(minutes=1)
            return Check(ok=False, detail=beat.stopped or f"nobody reached for {minutes} minutes")
        return Check(ok=True, detail=beat.stopped or beat.state)

    def _authority(self) -> dict[str, Check]:
        try:
            answer = self._http.request("GET", self._discovery_url, seconds=self._seconds)
            ok = answer.status_code == 200 and bool(json_object(answer).get("token_endpoint"))
            return {"authority": Check(ok=ok, detail="" if ok else f"http_{answer.status_code}")}
        except Unavailable as error:
            return {"authority": Check(ok=False, detail=error.reason)}


def thread_shortage(settings: Settings) -> str:
    """Says that queue messages alone can take every handler thread of this process, so that HTTP would wait for them;
    "" when they can't.

    A queue function gets up to `batchSize` + `newBatchThreshold` messages at a time (Microsoft: Azure Queue storage
    trigger, host.json settings). Unset, the host gives the Python worker 1000 threads (azure-functions-host,
    DefaultWorkerProcessFactory.cs). Anything but a positive number means Python's own default, which is unknown here.
    """
    text, messages = settings.handler_threads, most_messages_at_a_time()
    if not text or (text.isdecimal() and int(text) > messages):
        return ""
    return f"PYTHON_THREADPOOL_THREAD_COUNT={text[:10]}: {messages} queue messages can take all threads; leave it unset"


def closed_to_operators(settings: Settings) -> str:
    """Says that operators' pages are closed until a setting is made; "" when they are not."""
    if not settings.lacks_operator_tenants:
        return ""
    return "many tenants sign in; OPERATOR_TENANTS must say whose operators count"


@functools.cache
def most_messages_at_a_time() -> int:
    """How many messages one queue function gets at a time, by the host.json that is deployed."""
    queues = json.loads(_HOST_JSON.read_text("utf-8")).get("extensions", {}).get("queues", {})
    size = int(queues.get("batchSize", 16))
    return size + int(queues.get("newBatchThreshold", size // 2))


def as_json(checks: dict[str, Check]) -> dict[str, Any]:
    """The answer of /readyz: `ready`, and each check by name with `ok` and `detail`."""
    shown = {name: {"ok": check.ok, "detail": check.detail} for name, check in sorted(checks.items())}
    return {"ready": all(check.ok for check in checks.values()), "checks": shown}
