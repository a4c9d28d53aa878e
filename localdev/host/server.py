"""The local host: a web server, timers and queue listeners, in one thread."""

import asyncio
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from localdev.host.config import HostConfig, is_disabled
from localdev.host.errors import HostError
from localdev.host.indexing import IndexedFunction
from localdev.host.invocation import Invoker, Outcome
from localdev.host.listening import Server, listen
from localdev.host.queues import QueueListener
from localdev.host.timers import Timer
from localdev.host.waiting import see_through
from localdev.host.web import WebApp

logger = logging.getLogger("localdev.host")

KEY_SETTING = "LOCALDEV_HOST_KEY"
_START_SECONDS = 10.0
# A laptop that sleeps stops the event loop's clock, so the real one is read this often.
_LONGEST_NAP = 5.0
_ON_SCHEDULE = "Timer fired at %s"
_BY_HAND = "This function was programmatically called via the host APIs."
T = TypeVar("T")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LocalHost:
    """Serves indexed functions on 127.0.0.1 between `start` and `stop`, or as a context manager.

    Args:
        functions: From `index(app)`.
        host_json: The values of host.json.
        settings: App settings: for %SETTING% in bindings, for queue connections, and for the host itself.
        port: 0 means a free one.
        triggers: Whether timers and queues run by themselves. Without it, use `fire`, `tick` and `drain`.
        clock: Tells the timers the time, in UTC.

    Attributes:
        key: Opens functions that aren't anonymous and the host's own paths; `KEY_SETTING` or a new one.

    Raises:
        HostError: A route, schedule or connection can't be used; see localdev.host.errors.
    """

    def __init__(
        self,
        functions: Iterable[IndexedFunction],
        *,
        host_json: HostConfig | None = None,
        settings: Mapping[str, str] | None = None,
        port: int = 0,
        triggers: bool = True,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        config, values = host_json or HostConfig(), settings if settings is not None else {}
        self.functions = tuple(function for function in functions if not is_disabled(function.name, values))
        self._clock, self._triggers, self._port = clock, triggers, port
        self._thread: threading.Thread | None = None
        self._invoker = Invoker(values)
        self.timers = {f.name: Timer.of(f, values, clock()) for f in self._of("timerTrigger")}
        self.listeners = {
            f.name: QueueListener(f, config.queues, values, invoker=self._invoker) for f in self._of("queueTrigger")
        }
        self.key = values.get(KEY_SETTING) or secrets.token_urlsafe(32)
        self.web = WebApp(self.functions, config, values, key=self.key, invoker=self._invoker, fire=self._start_by_name)
        self._turns = {name: asyncio.Lock() for name in self.timers}
        self._background: set[asyncio.Task[Any]] = set()
        for name in (function.name for function in self.functions if function.has_retry_policy):
            logger.warning("the retry policy of '%s' works in Azure only; here it is not applied", name)

    @property
    def url(self) -> str:
        """The host's URL, without a trailing slash. The port is known after `start`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """The port that it listens on. It is known after `start`."""
        return self._port

    @property
    def is_running(self) -> bool:
        """Whether the host is serving."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Self:
        """Start to serve in a thread.

        Raises:
            PortInUseError: Another program listens on the port.
        """
        listening = listen(self._port)
        self._port = listening.getsockname()[1]
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(listening,), name="local-host", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS) or self._failure:
            raise HostError(f"the web server did not start: {self._failure or 'no answer'}") from self._failure
        return self

    def stop(self) -> None:
        """Stop serving. Running requests and handlers get a few seconds. A second call does nothing."""
        if self._thread is not None:
            self._server.stop(self._loop)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def fire(self, name: str, message: str = "") -> Outcome:
        """Run a timer or queue function now, wait for it, and return its outcome.

        Args:
            name: Of the function.
            message: The body that a queue function receives.

        Raises:
            KeyError: No timer or queue function has this name.
        """
        return self._wait(self._fire(name, message))

    def tick(self) -> tuple[Outcome, ...]:
        """Run the timers that are due by the clock, wait for them, and return their outcomes."""
        return self._wait(self._tick())

    def drain(self, name: str) -> int:
        """Handle one batch of a queue function's messages, and return how many there were."""
        return self._wait(self.listeners[name].step())

    def _of(self, trigger: str) -> list[IndexedFunction]:
        return [function for function in self.functions if function.trigger.type == trigger]

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _run(self, listening: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listening))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits in start()
            self._failure = error
            self._ready.set()
        finally:
            listening.close()

    async def _serve(self, listening: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = Server(self.web, self._ready)
        if self._triggers:
            self._begin(*(self._keep_time(timer) for timer in self.timers.values()))
            self._begin(*(listener.run() for listener in self.listeners.values()))
        try:
            await self._server.serve(sockets=[listening])
        finally:
            await self._end()

    async def _end(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._invoker.close()
        for listener in self.listeners.values():
            listener.close()

    def _begin(self, *work: Coroutine[Any, Any, Any]) -> None:
        for coroutine in work:
            task = asyncio.get_running_loop().create_task(coroutine)
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _keep_time(self, timer: Timer) -> None:
        if timer.run_on_startup:
            await see_through(self._turn(timer, scheduled=False))
        while True:
            seconds = (timer.next - self._clock()).total_seconds()
            if seconds > 0:
                await asyncio.sleep(min(seconds, _LONGEST_NAP))
            else:
                await see_through(self._turn(timer, scheduled=True))

    async def _tick(self) -> tuple[Outcome, ...]:
        due = [timer for timer in self.timers.values() if timer.is_due(self._clock())]
        return tuple(await asyncio.gather(*(self._turn(timer, scheduled=True) for timer in due)))

    async def _turn(self, timer: Timer, *, scheduled: bool) -> Outcome:
        """Run a timer function once. Two runs of one function never overlap."""
        async with self._turns[timer.function.name]:
            started = self._clock()
            past_due = scheduled and timer.is_late(started)
            outcome = await self._invoker.run(
                timer.function,
                lambda: timer.arguments(past_due=past_due),
                reason=_ON_SCHEDULE % started.isoformat() if scheduled else _BY_HAND,
            )
            timer.ran(started, scheduled=scheduled)
            return outcome

    async def _fire(self, name: str, message: str) -> Outcome:
        if name in self.timers:
            return await self._turn(self.timers[name], scheduled=False)
        return await self.listeners[name].invoke(message.encode(), {})

    async def _start_by_name(self, name: str, message: str) -> bool:
        """Start a function, whatever the case of `name`; False when there is none."""
        known = {one.lower(): one for one in (*self.timers, *self.listeners)}
        if name.lower() not in known:
            return False
        self._begin(see_through(self._fire(known[name.lower()], message)))
        return True
