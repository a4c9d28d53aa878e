"""Serves two apps, one over TLS, from one thread of the calling process."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from localdev.tls import TlsFiles

_T = TypeVar("_T")
_PATIENCE = 0.25


@dataclass(frozen=True)
class Door:
    """One app on the sockets of one port."""

    app: ASGIApp
    sockets: list[socket.socket]
    tls: TlsFiles | None = None


class Wire(H11Protocol):
    """Gives the app access to its connection, so that a fault can reset it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Called by asyncio."""
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await inner({**scope, "extensions": {"understudy.transport": transport}}, receive, send)

        self.app = app


class Listener:
    """A thread with an event loop and one server per door. `before_stop` runs in the thread before it ends."""

    def __init__(self, doors: list[Door], before_stop: Callable[[], None]) -> None:
        self._servers = [(uvicorn.Server(_config(door)), door.sockets) for door in doors]
        self._before_stop = before_stop
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="sample-tenant", daemon=True)

    def start(self) -> None:
        """Returns when requests are answered."""
        self._thread.start()
        while not all(server.started for server, _ in self._servers):
            if not self._thread.is_alive():
                raise RuntimeError("the sample tenant could not start")
            self._thread.join(0.005)

    def stop(self) -> None:
        """Returns when every connection is closed and the thread has ended."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def call(self, work: Callable[[], _T]) -> _T:
        """Runs `work` in the thread, where nothing else runs at the same time, and returns its result."""
        result: Future[_T] = Future()

        def run() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # noqa: BLE001  # it is raised again in the caller's thread
                result.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return result.result(timeout=60)

    def open_requests(self) -> int:
        """How many requests are being answered. Call it in the thread."""
        return sum(len(server.server_state.tasks) for server, _ in self._servers)

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        tasks = [asyncio.create_task(server.serve(sockets=sockets)) for server, sockets in self._servers]
        ending = asyncio.create_task(self._ending.wait())
        await asyncio.wait([*tasks, ending], return_when=asyncio.FIRST_COMPLETED)
        self._before_stop()
        for server, _ in self._servers:
            server.should_exit = True
        await asyncio.wait(tasks, timeout=_PATIENCE)
        for server, _ in self._servers:
            for connection in list(server.server_state.connections):
                connection.transport.abort()
        await asyncio.gather(*tasks)
        ending.cancel()


def bind(port: int) -> list[socket.socket]:
    """Listening sockets on the loopback addresses; port 0 takes a free one. OSError when the port is in use."""
    first = _socket(socket.AF_INET, "127.0.0.1", port)
    try:
        # Some clients try ::1 first for "localhost". Without this they wait before they try 127.0.0.1.
        return [first, _socket(socket.AF_INET6, "::1", first.getsockname()[1])]
    except OSError:
        return [first]


def _socket(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # asyncio turns off Nagle's algorithm only where the protocol is named. Otherwise each answer waits 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows the same option would let others share the port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(2048)
    except OSError:
        made.close()
        raise
    return made


def _config(door: Door) -> uvicorn.Config:
    return uvicorn.Config(
        door.app,
        http=Wire,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        ssl_keyfile=door.tls.key if door.tls else None,
        ssl_certfile=door.tls.certificate if door.tls else None,
    )
