"""Running one handler, as the worker does: a thread pool for `def`, the event loop for `async def`."""

import asyncio
import contextlib
import contextvars
import functools
import logging
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from localdev.host.indexing import IndexedFunction

logger = logging.getLogger("localdev.host")

# What the host gives the Python worker when the setting is absent (azure-functions-host,
# DefaultWorkerProcessFactory.cs and RpcWorkerConstants.cs).
_THREADS = 1000
_executing: dict[str, str] = {}  # function names, by invocation id
_on_the_loop: contextvars.ContextVar[str] = contextvars.ContextVar("invocation_id", default="")
_local = threading.local()


def executing_function() -> str | None:
    """The function that the caller's log records belong to; None outside every invocation that is executing.

    The worker finds the invocation id in the current asyncio task, else in a thread-local variable of its own
    (azure_functions_worker/dispatcher.py, `get_current_invocation_id`).
    """
    try:
        asyncio.get_running_loop()
        invocation = _on_the_loop.get()
    except RuntimeError:
        invocation = getattr(_local, "invocation_id", None) or ""
    return _executing.get(invocation)


@contextlib.contextmanager
def _execution(invocation: str, function: str) -> Iterator[None]:
    _executing[invocation] = function
    _on_the_loop.set(invocation)
    try:
        yield
    finally:
        del _executing[invocation]


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended. `value` is the handler's result; `error` what it raised."""

    id: str
    value: Any = None
    error: BaseException | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the handler returned, and returned something its bindings can take."""
        return self.error is None


class Invoker:
    """Runs handlers and logs their beginning and end, without any payload."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._pool = ThreadPoolExecutor(_thread_count(settings), thread_name_prefix="handler")

    def close(self) -> None:
        """Take no more work; running handlers are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(
        self,
        function: IndexedFunction,
        arguments: Callable[[], Mapping[str, Any]],
        *,
        reason: str,
        finish: Callable[[Any], Any] = lambda value: value,
    ) -> Outcome:
        """Convert the arguments, call the handler, convert its result with `finish`. What the app raises is returned.

        Args:
            function: Whose handler.
            arguments: Makes the keyword arguments, except `context`.
            reason: For the log.
            finish: Turns what the handler returned into the outcome's value.
        """
        invocation = str(uuid.uuid4())
        with _execution(invocation, function.name):
            logger.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", function.name, reason, invocation)
            started = time.perf_counter()
            try:
                result = await self._call(function, dict(arguments()), invocation)
                if result is not None and function.returns is None:
                    raise RuntimeError(f"function '{function.name}' has no $return binding, but returned a value")
                outcome = Outcome(invocation, value=finish(result))
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 - a handler may even call sys.exit(); the host must live on
                outcome = Outcome(invocation, error=error)
            logger.log(
                logging.INFO if outcome.succeeded else logging.ERROR,
                "Executed 'Functions.%s' (%s, Id=%s, Duration=%.0fms)",
                function.name,
                "Succeeded" if outcome.succeeded else "Failed",
                invocation,
                (time.perf_counter() - started) * 1000,
                exc_info=outcome.error,
            )
        return outcome

    async def _call(self, function: IndexedFunction, arguments: dict[str, Any], invocation: str) -> Any:
        if function.wants_context:
            arguments["context"] = InvocationContext(function, invocation)
        if function.is_async:
            awaited: Awaitable[Any] = function.handler(**arguments)
            return await awaited
        call = functools.partial(contextvars.copy_context().run, _call_in_thread, function, arguments, invocation)
        result, error = await asyncio.get_running_loop().run_in_executor(self._pool, call)
        if error is not None:
            raise error
        return result


class InvocationContext(func.Context):
    """What a handler's `context` parameter receives."""

    def __init__(self, function: IndexedFunction, invocation: str) -> None:
        self._function = function
        self._invocation = invocation

    @property
    def invocation_id(self) -> str:
        """This invocation's id, as in the log."""
        return self._invocation

    @property
    def thread_local_storage(self) -> Any:
        """A thread that the handler starts sets `invocation_id` here; the host drops its log records otherwise."""
        return _local

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self._function.name

    @property
    def function_directory(self) -> str:
        """Where the handler's file lies."""
        return str(self._function.directory)

    @property
    def trace_context(self) -> Any:
        """None: nothing is traced locally."""
        return None

    @property
    def retry_context(self) -> Any:
        """None: retry policies are not applied locally."""
        return None


def _call_in_thread(
    function: IndexedFunction, arguments: dict[str, Any], invocation: str
) -> tuple[Any, BaseException | None]:
    """Result or error, as a value: asyncio can't carry StopIteration or SystemExit out of a thread."""
    _local.invocation_id = invocation
    try:
        return function.handler(**arguments), None
    except BaseException as error:  # noqa: BLE001 - raised again by the caller
        return None, error
    finally:
        _local.invocation_id = None


def _thread_count(settings: Mapping[str, str]) -> int | None:
    """PYTHON_THREADPOOL_THREAD_COUNT, or the host's default. What is not a positive number gives a warning and None:
    Python's own default, as in the worker."""
    text = settings.get("PYTHON_THREADPOOL_THREAD_COUNT") or str(_THREADS)
    if text.isdecimal() and int(text) > 0:
        return int(text)
    logger.warning("PYTHON_THREADPOOL_THREAD_COUNT must be a positive whole number; using Python's default")
    return None
