"""The hosts' roads to the storage: they fail at random for a while, and write down what went over them."""

import base64
import json
import random
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from shared.errors import SealError
from shared.sealing import KeyRing
from tests.reliability.chaos_evidence import Message, Write
from tests.reliability.chaos_tenant import digest_of
from tests.reliability.storage_proxy import Answer, Request, StorageProxy, Trouble
from tests.service_storage import ServiceShapedStorage

_PART = re.compile(
    rb"(POST|PUT|PATCH|DELETE) \S*?/Accounts(?:\(PartitionKey='[^']*',RowKey='([^']*)'\))? HTTP/1\.1\r\n"
    rb".*?\r\n\r\n(.*?)\r\n--changeset",
    re.DOTALL,
)
_NOTIFICATIONS = "/sign-in-required/messages"
_DELAYS = {"delay": (0.05, 1.5), "long_delay": (2.0, 13.0), "slow_hints": (0.3, 2.0)}  # seconds
_KEPT = ("State", "LeaseOwner", "CacheVersion", "FailureCode", "FailureFirstAt", "NotifiedAt", "DueAt", "Source")


class Weather:
    """What happens to requests on one road at present. Draws from its own chance."""

    def __init__(self, seed: str) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - which requests fail, no secret
        self._lock = threading.Lock()
        self._kind, self._share = "", 0.0
        self.happened = 0

    def set(self, kind: str, share: float) -> None:
        """From now on `share` of the requests meet this kind of trouble; "" for none."""
        with self._lock:
            self._kind, self._share = kind, share

    def draw(self, request: Request) -> Trouble | None:
        """The trouble of one request."""
        with self._lock:
            if not self._kind or self._chance.random() >= self._share:
                return None
            if self._kind == "slow_hints" and (request.method == "GET" or not request.path.startswith("/Slots")):
                return None
            self.happened += 1
            return _trouble(self._kind, self._chance)


def _trouble(kind: str, chance: random.Random) -> Trouble:
    """`lost` and `500_committed` let the storage do its work; `refused` resets the connection before."""
    if kind in _DELAYS:
        seconds = chance.uniform(*_DELAYS[kind])
        return Trouble(before=lambda: time.sleep(seconds))
    return {
        "lost": Trouble(forward=True),
        "500": Trouble(status=500, code="InternalError"),
        "500_committed": Trouble(status=500, code="InternalError", forward=True),
        "503": Trouble(status=503),
        "refused": Trouble(),
    }[kind]


class TableRoad(ServiceShapedStorage):
    """To the tables. Writes down every row of Accounts that is written."""

    def __init__(self, target: str, host: int, weather: Weather, keys: KeyRing) -> None:
        super().__init__(target)
        self.host, self.weather, self._keys = host, weather, keys
        self.writes: list[Write] = []
        self.count_of_requests = 0
        self._on_the_way: dict[int, tuple[Request, list[Write]]] = {}  # by id; it keeps the request, and so its id

    def meets(self, request: Request) -> Trouble | None:
        """Draws a trouble."""
        trouble = self.weather.draw(request)
        with self._lock:
            self.count_of_requests += 1
        found = list(self._read(request, answered=trouble is None or trouble.before is not None))
        if found and (trouble is None or trouble.before or trouble.forward):
            self._on_the_way[id(request)] = (request, found)  # until the storage has answered
        elif found:
            self._note(found, committed=False)
        return trouble

    def shaped(self, request: Request, answer: Answer) -> Answer:
        """The storage has answered: writes down what it said."""
        _, found = self._on_the_way.pop(id(request), (request, []))
        refused = answer.status >= 300 or re.search(rb"HTTP/1\.1 [45]\d\d", answer.body)
        self._note(found, committed=not refused)
        return super().shaped(request, answer)

    def all_writes(self) -> list[Write]:
        """What was written so far, and what nobody knows about."""
        return self.writes + [each for _, found in list(self._on_the_way.values()) for each in found]

    def _note(self, found: list[Write], *, committed: bool) -> None:
        done = time.time()
        with self._lock:
            self.writes += [replace(each, done=done, committed=committed) for each in found]

    def _read(self, request: Request, *, answered: bool) -> Iterator[Write]:
        if not request.path.endswith("/$batch"):
            return
        now = time.time()
        for method, key, content in _PART.findall(request.body):
            properties: dict[str, Any] = json.loads(content) if content.strip() else {}
            account = unquote(key.decode()) or str(properties.get("RowKey", ""))
            row = {name: properties[name] for name in _KEPT if name in properties}
            tokens = tokens_in(properties, account, self._keys)
            yield Write(now, float("inf"), self.host, account, method.decode(), row, tokens, None, answered)


class QueueRoad(StorageProxy):
    """To the queues. Writes down every notification that is sent."""

    def __init__(self, target: str, host: int, weather: Weather) -> None:
        super().__init__(target, "Queue")
        self.host, self.weather = host, weather
        self.messages: list[Message] = []
        self._on_the_way: dict[int, tuple[Request, Message]] = {}

    def meets(self, request: Request) -> Trouble | None:
        """Draws a trouble."""
        trouble = self.weather.draw(request)
        if request.method == "POST" and request.path.endswith(_NOTIFICATIONS):
            message = self._read(request)
            if trouble is None or trouble.before or trouble.forward:
                self._on_the_way[id(request)] = (request, message)
            else:
                self.messages.append(replace(message, done=time.time(), committed=False))
        return trouble

    def shaped(self, request: Request, answer: Answer) -> Answer:
        """The storage has answered."""
        found = self._on_the_way.pop(id(request), None)
        if found:
            message = found[1]
            self.messages.append(replace(message, done=time.time(), committed=answer.status < 300))
        return answer

    def _read(self, request: Request) -> Message:
        found = re.search(rb"<MessageText>([^<]*)</MessageText>", request.body)
        content = json.loads(base64.b64decode(found[1])) if found else {}
        name, account, since = (str(content.get(each, "")) for each in ("id", "account_id", "since"))
        return Message(time.time(), float("inf"), self.host, name, account, since, None)


def tokens_in(properties: dict[str, Any], account: str, keys: KeyRing) -> tuple[str, ...]:
    """Digests of the refresh tokens in a row's sealed cache; none when it has no cache or can't be opened."""
    chunks = [properties.get(f"Cache{index}") for index in range(int(properties.get("CacheCount") or 0))]
    if not chunks:
        return ()
    sealed = b"".join(base64.b64decode(each) if isinstance(each, str) else bytes(each or b"") for each in chunks)
    try:
        content = json.loads(keys.open_cache(sealed, account))
    except (SealError, ValueError):
        return ()
    return tuple(digest_of(each["secret"]) for each in content.get("RefreshToken", {}).values())
