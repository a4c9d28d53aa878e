"""What a sweep, a token request and a Graph call report to OpenTelemetry's SDK, read from its in-memory exporters."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import telemetry
from tests.running_app import RunningApp

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


class Exported:
    """What has been exported since the test began."""

    def __init__(self, exporter: InMemorySpanExporter, reader: InMemoryMetricReader) -> None:
        self._exporter = exporter
        self._reader = reader

    def spans(self, name: str) -> list[ReadableSpan]:
        """Finished spans of this name."""
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """A metric's points: attributes and the point."""
        data = self._reader.get_metrics_data()
        found = []
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        found += [(dict(point.attributes or {}), point) for point in metric.data.data_points]
        return found


@pytest.fixture(scope="session")
def _sdk() -> Exported:
    """The SDK can be installed once per process. The app's instruments find it by themselves."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    return Exported(exporter, reader)


@pytest.fixture
def exported(_sdk: Exported) -> Exported:
    """The SDK, with no span yet. Its metrics go on: they are compared before and after."""
    _sdk._exporter.clear()
    return _sdk


class GraphListener(BaseHTTPRequestHandler):
    """A Graph that answers with one profile and keeps the headers of each request."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """The profile."""
        self.seen.append(self.headers.get("traceparent", ""))
        body = json.dumps({"displayName": "Ada"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


@pytest.fixture
def graph() -> Iterator[str]:
    """Its URL."""
    GraphListener.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), GraphListener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_sweep_is_a_span_with_one_for_each_slot(app: RunningApp, exported: Exported) -> None:
    """Slots are children of the sweep, though each has a thread of its own; the counts are attributes."""
    app.browser().sign_in("ada@contoso.example")
    app.clock.move(minutes=6)
    record = app.sweep()
    assert record is not None
    (sweep,) = exported.spans("sweep")
    slots = exported.spans("slot")
    assert len(slots) == record.slots
    assert sweep.context is not None
    assert {slot.parent.span_id for slot in slots if slot.parent} == {sweep.context.span_id}
    assert sweep.attributes is not None
    assert sweep.attributes["understudy.people.fresh"] == 1
    assert sweep.attributes["understudy.slots"] == record.slots


def test_an_idle_tick_is_no_span(app: RunningApp, exported: Exported) -> None:
    """When nobody is due, nothing is exported."""
    app.browser().sign_in("ada@contoso.example")
    app.sweep()
    exported._exporter.clear()
    app.sweep()
    assert exported.spans("sweep") == []


def test_a_sweep_that_stops_is_a_span_with_an_error(start_app: Callable[..., RunningApp], exported: Exported) -> None:
    """Its description is the reason, as in the log."""
    start_app().browser().sign_in("ada@contoso.example")
    app = start_app(CLIENT_SECRET="wrong")
    app.clock.move(hours=2)
    app.sweep()
    (sweep,) = exported.spans("sweep")
    assert sweep.status.status_code is trace.StatusCode.ERROR
    assert "misconfigured" in (sweep.status.description or "")


def test_metrics_count_people_and_time_token_and_storage_calls(app: RunningApp, exported: Exported) -> None:
    """They count by outcome and by result. The gauge shows the most overdue person."""

    def people(outcome: str) -> int:
        return sum(point.value for found, point in exported.points("understudy.people") if outcome in found.values())

    def sweeps() -> int:
        return sum(point.count for _, point in exported.points("understudy.sweep.seconds"))

    before = people("fresh"), people("sign_in_required")
    swept = sweeps()
    for username in ("ada@contoso.example", "deniz@contoso.example"):
        app.browser().sign_in(username)
    app.tenant.change_person("deniz@contoso.example", state="revoked")
    app.clock.move(minutes=10)
    record = app.sweep()
    assert record is not None
    assert (people("fresh"), people("sign_in_required")) == (before[0] + 1, before[1] + 1)
    assert sweeps() == swept + 1
    ((_, overdue),) = exported.points("understudy.sweep.oldest_overdue")
    assert overdue.value == record.oldest_overdue
    grants = {
        (found["understudy.grant"], found["understudy.result"])
        for found, _ in exported.points("understudy.token.seconds")
    }
    assert {("authorization_code", "200"), ("refresh_token", "200"), ("refresh_token", "400")} <= grants
    methods = {found["understudy.method"] for found, _ in exported.points("understudy.storage.seconds")}
    assert {"GET", "POST"} <= methods


def test_a_requests_trace_goes_on_to_graph(
    start_app: Callable[..., RunningApp], graph: str, exported: Exported
) -> None:
    """W3C Trace Context in, W3C Trace Context out; without one, none is made up."""
    browser = start_app(GRAPH_URL=graph).browser()
    browser.sign_in("ada@contoso.example")
    GraphListener.seen.clear()
    browser.get("/me", traceparent=TRACEPARENT)
    assert {TRACE_ID in seen for seen in GraphListener.seen} == {True}
    GraphListener.seen.clear()
    browser.get("/me")
    assert set(GraphListener.seen) == {""}


def test_a_tasks_graph_call_belongs_to_its_sweep(
    start_app: Callable[..., RunningApp], graph: str, exported: Exported
) -> None:
    """The trace passes through two pools of threads."""
    app = start_app(GRAPH_URL=graph)
    app.browser().sign_in("ada@contoso.example")
    GraphListener.seen.clear()
    app.clock.move(minutes=6)
    app.sweep()
    (sweep,) = exported.spans("sweep")
    assert sweep.context is not None
    assert [f"{sweep.context.trace_id:032x}" in seen for seen in GraphListener.seen] == [True]


def test_nothing_that_is_exported_names_a_person(app: RunningApp, exported: Exported) -> None:
    """Neither spans nor metrics."""
    app.browser().sign_in("ada@contoso.example")
    app.clock.move(minutes=6)
    app.sweep()
    (account,) = app.accounts()
    told = [str(dict(span.attributes or {})) for name in ("sweep", "slot") for span in exported.spans(name)]
    names = ("people", "sweep.seconds", "sweep.oldest_overdue", "token.seconds", "storage.seconds")
    told += [str(found) for name in names for found, _ in exported.points(f"understudy.{name}")]
    assert told
    for secret in (account.username, account.object_id, account.tenant_id, account.account_id):
        assert not [text for text in told if secret in text]


def test_span_of_the_functions_worker_stays_the_current_one(exported: Exported) -> None:
    """It is the caller's child already; the caller's own would hide it."""
    worker = trace.get_tracer("worker").start_as_current_span("invocation")
    with worker as span, telemetry.of_request({"traceparent": TRACEPARENT}):
        assert trace.get_current_span() is span


def test_trace_of_a_request_ends_with_it() -> None:
    """The thread's next request may come without a trace."""
    with telemetry.of_request({"traceparent": TRACEPARENT}):
        assert TRACE_ID in telemetry.outgoing()["traceparent"]
    assert telemetry.outgoing() == {}


@pytest.mark.parametrize("around", [telemetry.sweep, lambda: telemetry.slot("slot-0")])
def test_span_that_an_exception_ends_tells_its_type_alone(
    exported: Exported, around: Callable[[], AbstractContextManager[None]]
) -> None:
    """Its text may hold a token, and an exporter sends spans past the filter of the log."""
    with pytest.raises(ValueError, match="ada"), around():
        raise ValueError("token of ada@contoso.example")
    (span,) = exported.spans("sweep") + exported.spans("slot")
    assert "ada@contoso.example" not in span.to_json()
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, "ValueError")


_worker_local = threading.local()


@dataclass(frozen=True)
class Invocation:
    """What the worker hands to a handler: it looks for the id in a thread-local variable."""

    invocation_id: str
    thread_local_storage: threading.local = _worker_local


def found_id() -> str | None:
    """The id that the worker would find in this thread."""
    return getattr(_worker_local, "invocation_id", None)


def test_a_carried_call_has_its_invocations_id_and_leaves_none_behind() -> None:
    """A pool's thread is used by several invocations, one after the other."""
    with ThreadPoolExecutor(1) as pool:
        with telemetry.log_as(Invocation("first")):
            first = pool.submit(telemetry.carried(found_id))
        with telemetry.log_as(Invocation("second")):
            second = pool.submit(telemetry.carried(found_id))
        bare, outside = pool.submit(found_id), pool.submit(telemetry.carried(found_id))
        assert [each.result() for each in (first, second, bare, outside)] == ["first", "second", None, None]


def test_a_carried_call_that_raises_leaves_no_id_behind() -> None:
    """The next invocation's records would bear it."""
    with ThreadPoolExecutor(1) as pool:
        with telemetry.log_as(Invocation("one")):
            failed = pool.submit(telemetry.carried(int), "no number")
        assert isinstance(failed.exception(), ValueError)
        assert pool.submit(found_id).result() is None


def test_a_carried_call_carries_on() -> None:
    """From a thread of a thread; and called where it was made, it leaves that thread's id alone."""

    def through_another_pool() -> tuple[str | None, str | None, str | None]:
        with ThreadPoolExecutor(1) as inner:
            below = inner.submit(telemetry.carried(found_id)).result()
        return telemetry.carried(found_id)(), below, found_id()

    with ThreadPoolExecutor(1) as pool, telemetry.log_as(Invocation("one")):
        assert pool.submit(telemetry.carried(through_another_pool)).result() == ("one", "one", "one")


def test_one_carried_function_runs_in_several_threads_at_a_time() -> None:
    """A context can be entered once only: each call has a copy."""
    together = threading.Barrier(4, timeout=10)
    with ThreadPoolExecutor(4) as pool, telemetry.log_as(Invocation("one")):
        wait = telemetry.carried(together.wait)
        assert sorted(each.result() for each in [pool.submit(wait) for _ in range(4)]) == [0, 1, 2, 3]


def test_without_a_trace_no_header_is_sent() -> None:
    """Without SDK and trace, requests are the same as before."""
    assert telemetry.outgoing() == {}
