"""Spans and metrics, by OpenTelemetry's API. Without an SDK in the process they do nothing, at almost no cost.

docs/operations.md says how to export them. No span and no metric names a person.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, ParamSpec, Protocol, TypeVar

from opentelemetry import context, metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_tracer = trace.get_tracer("understudy")
_meter = metrics.get_meter("understudy")
_people = _meter.create_counter("understudy.people", "{person}", "people whose turn it was, by outcome")
_seconds = _meter.create_histogram("understudy.sweep.seconds", "s", "how long a sweep took")
_overdue = _meter.create_gauge("understudy.sweep.oldest_overdue", "s", "by how much the most overdue person was late")
_token_seconds = _meter.create_histogram("understudy.token.seconds", "s", "the token endpoint's answers, by result")
_storage_seconds = _meter.create_histogram("understudy.storage.seconds", "s", "the storage account's answers")
_w3c = TraceContextTextMapPropagator()  # no baggage: what a caller put there is not Microsoft Graph's

P = ParamSpec("P")
R = TypeVar("R")


class Invocation(Protocol):
    """What logging needs of azure.functions.Context."""

    @property
    def invocation_id(self) -> str:
        """The Functions host's."""

    @property
    def thread_local_storage(self) -> Any:
        """Where the worker looks for `invocation_id`."""


_invocation: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


@contextmanager
def _span(name: str, attributes: Mapping[str, str]) -> Iterator[None]:
    """A span. Of an exception that ends it, it tells the type alone.

    OpenTelemetry would add the exception's text and traceback (`start_as_current_span`, `record_exception`), which may
    hold a token or a name, and no log filter sees them.
    """
    with _tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise


@contextmanager
def sweep() -> Iterator[None]:
    """A span around a sweep."""
    with _span("sweep", {}):
        yield


def record_sweep(*, slots: int, people: Mapping[str, int], seconds: float, oldest_overdue: float, stopped: str) -> None:
    """Writes a sweep's result to its span, which is the current one, and to the metrics.

    Args:
        people: by outcome.
        oldest_overdue: seconds by which the most overdue person was late.
        stopped: why the sweep ended early; "" when it didn't.
    """
    span = trace.get_current_span()
    span.set_attribute("understudy.slots", slots)
    for outcome, count in people.items():
        span.set_attribute(f"understudy.people.{outcome}", count)
        _people.add(count, {"understudy.outcome": outcome})
    if stopped:
        span.set_status(trace.StatusCode.ERROR, stopped)
    _seconds.record(seconds)
    _overdue.set(oldest_overdue)


@contextmanager
def slot(name: str) -> Iterator[None]:
    """A span around one slot of a sweep."""
    with _span("slot", {"understudy.slot": name}):
        yield


@contextmanager
def log_as(invocation: Invocation) -> Iterator[None]:
    """Threads that `carried` starts inside log as part of this invocation."""
    token = _invocation.set(invocation)
    try:
        yield
    finally:
        _invocation.reset(token)


def carried(function: Callable[P, R]) -> Callable[P, R]:
    """The function for another thread, where it belongs to this thread's trace and logs under its invocation.

    The Functions host drops a log record whose invocation id it is not executing (azure-functions-host,
    GrpcWorkerChannel.cs, `Log`). The Python worker finds that id per thread: up to Python 3.12 in
    `context.thread_local_storage` (azure_functions_worker/dispatcher.py, `get_current_invocation_id`), from 3.13 on in
    a context variable (proxy_worker/dispatcher.py). A thread of ours has neither, so it gets both. What still runs
    when the invocation has ended logs nothing that arrives.
    """
    here, invocation = copy_context(), _invocation.get()

    def there(*args: P.args, **kwargs: P.kwargs) -> R:
        run = here.copy().run  # a copy: several threads at a time can't enter one context
        if invocation is None:
            return run(function, *args, **kwargs)
        local = invocation.thread_local_storage
        before = getattr(local, "invocation_id", None)
        local.invocation_id = invocation.invocation_id
        try:
            return run(function, *args, **kwargs)
        finally:
            local.invocation_id = before

    return there


@contextmanager
def of_request(headers: Mapping[str, str]) -> Iterator[None]:
    """Continues the caller's trace (W3C Trace Context) while a request is handled. When the Functions worker has set a
    current span already, that span is the caller's child, and nothing is changed."""
    if trace.get_current_span().get_span_context().is_valid:
        yield
        return
    carrier = {name: headers.get(name, "") for name in ("traceparent", "tracestate")}
    token = context.attach(_w3c.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)


def outgoing() -> dict[str, str]:
    """Headers that let the called service join the current trace; none when there is no trace."""
    headers: dict[str, str] = {}
    _w3c.inject(headers)
    return headers


@contextmanager
def token_request(grant: str) -> Iterator[Callable[[int], None]]:
    """Measures one token request. Call the yielded function with the answer's status; without a call, none came."""
    began = time.perf_counter()
    results = ["no_answer"]
    try:
        yield lambda status: results.append(str(status))
    finally:
        seconds = time.perf_counter() - began
        _token_seconds.record(seconds, {"understudy.grant": grant, "understudy.result": results[-1]})


def storage_answered(response: Any, *_: Any, **__: Any) -> None:
    """Measures one answer of the storage account. A response hook for `requests`."""
    attributes = {"understudy.method": str(response.request.method), "understudy.result": str(response.status_code)}
    _storage_seconds.record(response.elapsed.total_seconds(), attributes)
