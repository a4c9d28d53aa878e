"""The listening socket, and uvicorn on it."""

import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from localdev.host.errors import PortInUseError
from localdev.host.waiting import GRACE_SECONDS

ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]


class Server(uvicorn.Server):
    """A uvicorn server that sets `ready` when it listens, and ends as soon as `stop` is called."""

    def __init__(self, app: ASGIApplication, ready: threading.Event) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                ws="none",
                timeout_graceful_shutdown=int(GRACE_SECONDS),
            )
        )
        self._ready = ready
        self._asked = asyncio.Event()

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the server from another thread."""
        self.should_exit = True
        # A closed loop: the server has ended already.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._asked.set)

    async def main_loop(self) -> None:
        """Serve until asked to end."""
        tasks = {asyncio.create_task(super().main_loop()), asyncio.create_task(self._asked.wait())}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._ready.set()


def listen(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1; port 0 takes a free one.

    Raises:
        PortInUseError: Somebody else listens there.
    """
    # The protocol is named: asyncio sets TCP_NODELAY only where it is, and without it each answer may wait 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        # There it only forgives connections in TIME_WAIT; on Windows it would share the port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortInUseError(port) from error
        raise
    return listening
