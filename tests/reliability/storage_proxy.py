"""A faulty road to the storage: an HTTP proxy before Azurite that fails, or lets something happen in between."""

import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from azure.data.tables import TableServiceClient

from shared.clients.storage import CLIENT_OPTIONS

_LINGER_NOT = struct.pack("ii", 1, 0)  # a reset instead of a polite end


@dataclass(eq=False)
class Trouble:
    """What happens to requests that fit.

    Attributes:
        method, path: regular expressions; the path is without the account, a transaction's path is `$batch`.
        body: a regular expression that the body must contain.
        status, code: the answer instead of the storage's; 0 resets the connection.
        retry_after: seconds, as that header; "" for none.
        content: the answer's body instead of an error's JSON.
        forward: let the storage do its work first (its answer is lost).
        before: called before the request goes on to the storage, which then answers by itself.
        skip: this many requests that fit go through first.
        times: how often it happens; None is always.
    """

    method: str = ".*"
    path: str = ".*"
    body: str = ""
    status: int = 0
    code: str = "ServerBusy"
    retry_after: str = ""
    content: bytes | None = None
    forward: bool = False
    before: Callable[[], None] | None = None
    skip: int = 0
    times: int | None = None
    happened: int = 0

    def fits(self, method: str, path: str, body: bytes) -> bool:
        """Is it meant for this request?"""
        return bool(
            re.fullmatch(self.method, method)
            and re.search(self.path, path)
            and re.search(self.body, body.decode("latin-1"))
        )


@dataclass(frozen=True)
class Request:
    """What the client asks. `target` is the path with the account's name, and the query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Without the account's name and the query."""
        return self.target.partition("?")[0].partition("/devstoreaccount1")[2]


@dataclass(frozen=True)
class Answer:
    """What the storage answers."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class StorageProxy:
    """Serves between `__enter__` and `__exit__`.

    Args:
        target: connection string of the real storage.
        service: the one of its services that is behind this road, `Table` or `Queue`.

    Attributes:
        requests: method and path of each since `clear`.
        bytes, largest: of all bodies since then, in both directions.
    """

    def __init__(self, target: str, service: str = "Table") -> None:
        found = re.search(rf"{service}Endpoint=http://([\d.]+):(\d+)", target)
        assert found, "a connection string with this service's endpoint is needed"
        self.service = service
        self.target = (found[1], int(found[2]))
        self._text = target
        self._lock = threading.Lock()
        self._troubles: list[Trouble] = []
        self.requests: list[str] = []
        self.bytes = 0
        self.largest = 0
        self._server = _Server(("127.0.0.1", 0), _Handler, bind_and_activate=True)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def connection_string(self) -> str:
        """The same storage, by this road."""
        port = self._server.server_address[1]
        endpoint = f"{self.service}Endpoint=http://"
        return re.sub(rf"{endpoint}[\d.]+:\d+", f"{endpoint}127.0.0.1:{port}", self._text)

    def client(self) -> TableServiceClient:
        """By this road. It asks again as often as the app's own, and doesn't wait as long."""
        soon = {**CLIENT_OPTIONS, "retry_backoff_factor": 0.005}
        return TableServiceClient.from_connection_string(self.connection_string, **soon)

    def add(self, **facts: Any) -> Trouble:
        """From now on it happens."""
        trouble = Trouble(**facts)
        with self._lock:
            self._troubles.append(trouble)
        return trouble

    def clear(self) -> None:
        """The road is good again; what was asked so far is forgotten."""
        with self._lock:
            self._troubles.clear()
            self.requests.clear()
            self.bytes = self.largest = 0

    def answer_itself(self, request: Request, ask: Callable[[Request], Answer]) -> Answer | None:
        """The answer to a request that meets no trouble and is not counted.

        Args:
            ask: asks the storage.
        """

    def understood(self, request: Request) -> Request:
        """The request as the storage gets it."""
        return request

    def shaped(self, request: Request, answer: Answer) -> Answer:  # noqa: ARG002 - for who shapes by it
        """The storage's answer as the client gets it."""
        return answer

    def count(self, size: int) -> None:
        """Counts the bytes of a body, in either direction."""
        with self._lock:
            self.bytes += size
            self.largest = max(self.largest, size)

    def meets(self, request: Request) -> Trouble | None:
        """The trouble that this request meets, if any; counts it."""
        with self._lock:
            self.requests.append(f"{request.method} {request.path}")
            for trouble in self._troubles:
                if trouble.times == 0 or not trouble.fits(request.method, request.path, request.body):
                    continue
                if trouble.skip:
                    trouble.skip -= 1
                    continue
                trouble.times = None if trouble.times is None else trouble.times - 1
                trouble.happened += 1
                return trouble
        return None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: StorageProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _any(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        request = Request(self.command, self.path, headers, body)
        proxy.count(len(body))
        itself = proxy.answer_itself(request, self._ask)
        if itself:
            self._send(itself)
            return
        trouble = proxy.meets(request)
        if trouble and trouble.before:
            trouble.before()
        answer = None
        if trouble is None or trouble.before or trouble.forward:
            answer = proxy.shaped(request, self._ask(proxy.understood(request)))
        if trouble and not trouble.before:
            answer = self._refusal(trouble) if trouble.status else None
        if answer:
            self._send(answer)
        else:
            self._reset()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_MERGE = _any  # noqa: N815 - the base class looks for these

    def setup(self) -> None:
        super().setup()
        self._storage = http.client.HTTPConnection(*self.server.proxy.target, timeout=30)

    def finish(self) -> None:
        self._storage.close()
        super().finish()

    def _ask(self, request: Request) -> Answer:
        self._storage.request(request.method, request.target, request.body or None, request.headers)
        answer = self._storage.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())

    def _send(self, answer: Answer) -> None:
        self.server.proxy.count(len(answer.body))
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in ("connection", "keep-alive", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    @staticmethod
    def _refusal(trouble: Trouble) -> Answer:
        headers = [("Content-Type", "application/json"), ("x-ms-error-code", trouble.code)]
        if trouble.retry_after:
            headers.append(("Retry-After", trouble.retry_after))
        error = {"odata.error": {"code": trouble.code, "message": {"value": trouble.code}}}
        return Answer(
            trouble.status, headers, json.dumps(error).encode() if trouble.content is None else trouble.content
        )

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""
