"""Running one handler, as the worker does: a thread pool for `def`, the event loop for `async def`."""

import asyncio
import contextvars
import functools
import logging
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from localdev.host.indexing import IndexedFunction

logger = logging.getLogger("localdev.host")

current_function: contextvars.ContextVar[str] = contextvars.ContextVar("current_function", default="")
_local = threading.local()


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
        self._pool = ThreadPoolExecutor(_threads(settings), thread_name_prefix="handler")

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
        """Convert the arguments, call the handler, convert its result with `finish`. Never raises for the app's sake.

        Args:
            function: Whose handler.
            arguments: Makes the keyword arguments, but for `context`.
            reason: For the log.
            finish: Turns what the handler returned into the outcome's value.
        """
        invocation = str(uuid.uuid4())
        current_function.set(function.name)
        logger.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", function.name, reason, invocation)
        started = time.perf_counter()
        try:
            result = await self._call(function, dict(arguments()), invocation)
            outcome = Outcome(invocation, value=finish(_allowed(function, result)))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - a handler may even call sys.exit(); the host must live on
            outcome = Outcome(invocation, error=error)
        self._log_end(function, outcome, time.perf_counter() - started)
        return outcome

    async def _call(self, function: IndexedFunction, arguments: dict[str, Any], invocation: str) -> Any:
        if function.wants_context:
            arguments["context"] = InvocationContext(function, invocation)
        if function.is_async:
            awaited: Awaitable[Any] = function.handler(**arguments)
            return await awaited
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        work = functools.partial(context.run, _in_thread, function, arguments, invocation)
        result, error = await loop.run_in_executor(self._pool, work)
        if error is not None:
            raise error
        return result

    def _log_end(self, function: IndexedFunction, outcome: Outcome, seconds: float) -> None:
        word = "Succeeded" if outcome.succeeded else "Failed"
        logger.log(
            logging.INFO if outcome.succeeded else logging.ERROR,
            "Executed 'Functions.%s' (%s, Id=%s, Duration=%.0fms)",
            function.name,
            word,
            outcome.id,
            seconds * 1000,
            exc_info=outcome.error,
        )


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
        """Carries `invocation_id` into threads that the handler starts."""
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
        """Nothing is traced locally."""
        return None

    @property
    def retry_context(self) -> Any:
        """Retry policies are not applied locally."""
        return None


def _in_thread(
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


def _allowed(function: IndexedFunction, result: Any) -> Any:
    if result is not None and function.returns is None:
        raise RuntimeError(f"function '{function.name}' has no $return binding, but returned a value")
    return result


def _threads(settings: Mapping[str, str]) -> int | None:
    """PYTHON_THREADPOOL_THREAD_COUNT; what is not a positive number is ignored with a warning, as the worker does."""
    text = settings.get("PYTHON_THREADPOOL_THREAD_COUNT")
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        logger.warning("PYTHON_THREADPOOL_THREAD_COUNT must be a positive whole number; using the default")
        return None
    return int(text)
