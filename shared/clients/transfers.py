"""Many HTTP transfers at once, by libcurl's multi interface, on one thread of their own.

libcurl does TLS and HTTP outside the interpreter lock. One thread drives all transfers, so there is one pool of
connections and one copy of the certificate authorities ("libcurl-multi", CURLOPT_CA_CACHE_TIMEOUT). The threads that
wait for an answer sleep on a queue meanwhile.

libcurl looks once per second whether a kept connection was closed, or has bytes that nobody asked for
(`Curl_cpool_prune_dead` in lib/conncache.c). In that second it would send the next person's request over it, and take
those bytes for the answer. So we look before each request (`_KeptSockets`). A request over a connection that closes
after that fails with `connection`, unless it may be repeated.
"""

import logging
import os
import queue
import select
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

import pycurl

from shared.clients.answers import HttpAnswer, Unavailable

_LARGEST_ANSWER_BYTES = 4 * 1024 * 1024
_SILENCE_SECONDS = 8
_IDLE_SECONDS = 30  # a connection that was idle for longer is not used again: servers close them after a minute or so
_IDLE_SECONDS_WITH_BODY = 3  # nobody may send these twice; some servers close after five (Node, `keepAliveTimeout`)
_REASONS = {
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_SSL_CERTPROBLEM: "tls",
    pycurl.E_SSL_CIPHER: "tls",
    pycurl.E_SSL_ISSUER_ERROR: "tls",
}  # all others: "connection"
_UNSENT = (pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_RESOLVE_PROXY, pycurl.E_COULDNT_CONNECT)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Attributes:
        headers: in the form "Name: value".
        proxy: the proxy's address, or "".
        connect_seconds, seconds: time limits for the connection, and for everything.
    """

    method: str
    url: str = field(repr=False)
    headers: list[str] = field(repr=False)
    body: bytes | None = field(repr=False)
    proxy: str
    connect_seconds: float
    seconds: float


class Transfers:
    """Sends requests from any thread.

    Args:
        ca_bundle: path of a PEM file.
        kept_connections: idle connections that are kept for later requests.
    """

    def __init__(self, *, ca_bundle: str, kept_connections: int) -> None:
        self._ca_bundle = ca_bundle
        self._kept_connections = kept_connections
        self._lock = threading.Lock()
        self._driver: _Driver | None = None

    def send(self, request: Request) -> HttpAnswer:
        """Sends a request and waits for its answer.

        Raises:
            Unavailable: `timeout`, `connection`, `tls`, or `unparsable` for an answer that is too long.
        """
        answers: queue.SimpleQueue[HttpAnswer | Unavailable] = queue.SimpleQueue()
        self._running_driver().submit(_Transfer(request, answers))
        answer = answers.get()
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    def close(self) -> None:
        """Ends the thread and all connections. A request that is under way fails."""
        with self._lock:
            driver, self._driver = self._driver, None
        if driver:
            driver.stop()

    def _running_driver(self) -> "_Driver":
        with self._lock:
            if self._driver is None or not self._driver.is_running:
                self._driver = _Driver(self._ca_bundle, self._kept_connections)
            return self._driver


class _Transfer:
    """One request on its way, and what has come of its answer. Used on the network thread."""

    def __init__(self, request: Request, answers: "queue.SimpleQueue[HttpAnswer | Unavailable]") -> None:
        self.request = request
        self._answers = answers
        self._lines: list[bytes] = []
        self._parts: list[bytes] = []
        self._bytes = 0
        self._unread = request.body or b""

    def configure(self, handle: pycurl.Curl, ca_bundle: str, *, fresh: bool) -> None:
        """Prepares a handle, which is new or was reset. `fresh` keeps it off the kept connections."""
        request = self.request
        handle.setopt(pycurl.URL, request.url)
        if request.body is not None:
            # libcurl would by itself send a request again whose kept connection died (`Curl_retry_request`,
            # lib/transfer.c). It can't repeat a body that it can't read twice.
            handle.setopt(pycurl.POST, 1)
            handle.setopt(pycurl.POSTFIELDSIZE_LARGE, len(request.body))
            handle.setopt(pycurl.READFUNCTION, self._read)
        handle.setopt(pycurl.CUSTOMREQUEST, request.method)
        handle.setopt(pycurl.HTTPHEADER, [*request.headers, "Accept-Encoding: identity", "Expect:"])
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        handle.setopt(pycurl.PROXY, request.proxy)
        handle.setopt(pycurl.CAINFO, ca_bundle)
        handle.setopt(pycurl.PROXY_CAINFO, ca_bundle)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, max(int(request.connect_seconds * 1000), 1))
        handle.setopt(pycurl.TIMEOUT_MS, max(int(request.seconds * 1000), 1))
        handle.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        handle.setopt(pycurl.LOW_SPEED_TIME, _SILENCE_SECONDS)
        handle.setopt(pycurl.MAXAGE_CONN, _IDLE_SECONDS if request.body is None else _IDLE_SECONDS_WITH_BODY)
        handle.setopt(pycurl.FRESH_CONNECT, int(fresh))
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        handle.setopt(pycurl.WRITEFUNCTION, self._keep_part)

    def succeed(self, status: int) -> None:
        """The answer is complete."""
        self._answers.put(HttpAnswer(status, _headers(self._lines), b"".join(self._parts)))

    def fail(self, reason: str, *, unsent: bool = False) -> None:
        """There will be no answer."""
        too_long = self._bytes > _LARGEST_ANSWER_BYTES
        self._answers.put(Unavailable("unparsable" if too_long else reason, unsent=unsent))

    def _read(self, most: int) -> bytes:
        part, self._unread = self._unread[:most], self._unread[most:]
        return part

    def _keep_part(self, part: bytes) -> int:
        self._bytes += len(part)
        if self._bytes > _LARGEST_ANSWER_BYTES:
            return 0  # which ends the transfer
        self._parts.append(part)
        return len(part)


class _KeptSockets:
    """The sockets of connections that are kept and at rest. Where there is no `poll`, as on Windows, it knows none."""

    def __init__(self) -> None:
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._inodes: dict[int, int] = {}  # a number may be another socket's by now, or a file's

    def add(self, descriptor: int) -> None:
        """A transfer left this socket."""
        if self._poll:
            with suppress(OSError):  # closed
                self._inodes[descriptor] = os.fstat(descriptor).st_ino
                self._poll.register(descriptor, select.POLLIN)

    def discard(self, descriptor: int) -> None:
        """A transfer uses this socket, or it is closed."""
        if self._poll and self._inodes.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def any_has_news(self) -> bool:
        """Was one closed by the other end, or are there bytes on one although nobody asked?"""
        found = False
        for descriptor, _ in self._poll.poll(0) if self._poll else ():
            try:
                same = os.fstat(descriptor).st_ino == self._inodes[descriptor]
            except OSError:
                same = False
            if same:
                found = True
            else:
                self.discard(descriptor)
        return found


class _Driver:
    """The thread that drives libcurl: it waits on sockets, and tells libcurl which are ready ("libcurl-multi", the
    multi_socket interface)."""

    def __init__(self, ca_bundle: str, kept_connections: int) -> None:
        self._ca_bundle = ca_bundle
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, kept_connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._act_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._watched: dict[int, int] = {}
        self._kept = _KeptSockets()
        self._bell, self._rung = socket.socketpair()
        for end in (self._bell, self._rung):
            end.setblocking(False)
        self._selector.register(self._rung, selectors.EVENT_READ)
        self._new: deque[_Transfer] = deque()
        self._under_way: dict[pycurl.Curl, _Transfer] = {}
        self._idle: list[pycurl.Curl] = []
        self._stopping = False
        self._ended = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._drive, name="http", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Does the thread take requests?"""
        return not (self._stopping or self._ended)

    def submit(self, transfer: _Transfer) -> None:
        """Hands a transfer to the thread."""
        with self._lock:
            if self._ended:
                transfer.fail("connection")
                return
            self._new.append(transfer)
            alone = len(self._new) == 1
        if alone:
            self._ring()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping = True
        self._ring()
        self._thread.join()

    def _ring(self) -> None:
        with suppress(BlockingIOError, OSError):  # a bell that rings already
            self._bell.send(b"!")

    def _drive(self) -> None:
        try:
            while not self._stopping:
                self._act(self._selector.select(self._seconds_to_wait()))
                self._collect()
        except Exception:
            logger.exception("the network thread ended; the next request starts another")
        finally:
            self._end()

    def _seconds_to_wait(self) -> float | None:
        return None if self._act_at is None else max(self._act_at - time.monotonic(), 0.0)

    def _act(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, events in ready:
            if key.fileobj is self._rung:
                self._rung.recv(4096)
                self._begin_new()
            elif key.fd in self._watched:  # an earlier one of these may have closed it
                readable = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
                writable = pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0
                self._multi.socket_action(key.fd, readable | writable)
        if self._act_at is not None and self._act_at <= time.monotonic():
            self._act_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _begin_new(self) -> None:
        fresh = self._kept.any_has_news()
        while True:
            with self._lock:
                if not self._new:
                    return
                transfer = self._new.popleft()
            handle = self._idle.pop() if self._idle else pycurl.Curl()
            try:
                transfer.configure(handle, self._ca_bundle, fresh=fresh)
            except (pycurl.error, ValueError, UnicodeError):  # a URL or header that can't be sent
                transfer.fail("connection")
                continue
            self._under_way[handle] = transfer
            self._multi.add_handle(handle)

    def _collect(self) -> None:
        """Gives answers to who waits for them."""
        more = 1
        while more:
            more, complete, failed = self._multi.info_read()
            for handle in complete:
                transfer, status = self._release(handle), handle.getinfo(pycurl.RESPONSE_CODE)
                handle.reset()  # else it would hold this transfer, tokens and all, until it is used again
                self._idle.append(handle)
                transfer.succeed(status)
            for handle, number, _ in failed:
                self._release(handle).fail(_REASONS.get(number, "connection"), unsent=number in _UNSENT)
                handle.close()

    def _release(self, handle: pycurl.Curl) -> _Transfer:
        self._multi.remove_handle(handle)
        return self._under_way.pop(handle)

    def _end(self) -> None:
        with self._lock:
            self._ended = True
            waiting = [*self._under_way.values(), *self._new]
        for transfer in waiting:
            transfer.fail("connection")
        for handle in self._under_way:
            self._multi.remove_handle(handle)
            handle.close()
        for handle in self._idle:
            handle.close()
        self._multi.close()
        self._selector.close()
        self._bell.close()
        self._rung.close()

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        """libcurl's word on which sockets to wait for."""
        events = {
            pycurl.POLL_IN: selectors.EVENT_READ,
            pycurl.POLL_OUT: selectors.EVENT_WRITE,
            pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
        }.get(what, 0)
        known = self._watched.get(descriptor, 0)
        if events and not known:
            self._selector.register(descriptor, events)
        elif events and events != known:
            self._selector.modify(descriptor, events)
        elif known and not events:
            self._selector.unregister(descriptor)
        if events:
            self._watched[descriptor] = events
            self._kept.discard(descriptor)
        else:
            self._watched.pop(descriptor, None)
            self._kept.add(descriptor)

    def _set_timer(self, milliseconds: int) -> None:
        self._act_at = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


def _headers(lines: list[bytes]) -> dict[str, str]:
    """The last answer's headers: a proxy's, or an interim one's, come before. Names are in lower case; repeated headers
    are joined (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if line.startswith(b"HTTP/"):
            headers.clear()
        elif colon:
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
