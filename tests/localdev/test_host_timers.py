"""Timer triggers."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import azure.functions.timer
import pytest
import requests

from localdev.host import LocalHost, ScheduleError, UnresolvedSettingError, index
from localdev.host.timers import Timer
from tests.localdev.host_apps import new_app, serving

NOON = datetime(2024, 5, 6, 12, 0, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def move(self, **amount: float) -> None:
        """Let time pass."""
        self.now += timedelta(**amount)


def app_of(handler: Callable[..., Any], schedule: str = "0 */5 * * * *", **options: Any) -> Any:
    """One timer function, `tick`."""
    app = new_app()
    app.function_name("tick")(app.timer_trigger(arg_name="timer", schedule=schedule, **options)(handler))
    return app


def calling(action: Callable[[], None]) -> Callable[[func.TimerRequest], None]:
    """A handler that calls `action`."""

    def handler(timer: func.TimerRequest) -> None:
        action()

    return handler


def recorder() -> tuple[list[Any], Callable[[func.TimerRequest], None]]:
    """A list, and a handler that appends what it gets to it."""
    got: list[Any] = []

    def handler(timer: func.TimerRequest) -> None:
        got.append(timer)

    return got, handler


def test_it_runs_when_its_moment_has_come_and_once() -> None:
    """It runs not before, and not twice per occurrence."""
    clock = Clock()
    got, handler = recorder()
    with serving(app_of(handler), clock=clock) as host:
        clock.move(minutes=4, seconds=59)
        assert host.tick() == ()
        clock.move(seconds=1)
        assert [outcome.succeeded for outcome in host.tick()] == [True]
        assert host.tick() == ()
    assert [timer.past_due for timer in got] == [False]


def test_a_late_turn_is_past_due_and_missed_ones_are_not_made_up() -> None:
    """After an hour's sleep there is one late turn, then the next regular one."""
    clock = Clock()
    got, handler = recorder()
    with serving(app_of(handler), clock=clock) as host:
        clock.move(hours=1, minutes=1)
        host.tick()
        assert host.tick() == ()
        assert host.timers["tick"].next == NOON + timedelta(hours=1, minutes=5)
        clock.move(minutes=4)
        host.tick()
    assert [timer.past_due for timer in got] == [True, False]


def test_a_turn_a_little_early_does_not_meet_its_occurrence_again() -> None:
    """Clocks are set back now and then."""
    (function,) = index(app_of(recorder()[1]))
    timer = Timer.of(function, {}, NOON)
    timer.ran(timer.next - timedelta(milliseconds=3), scheduled=True)
    assert timer.next == NOON + timedelta(minutes=10)


def test_the_handler_is_told_its_schedule() -> None:
    """azure-functions 1.26 and 2.x both read it from the host's JSON."""
    clock = Clock()
    got, handler = recorder()
    with serving(app_of(handler), clock=clock) as host:
        clock.move(minutes=5)
        host.tick()
        clock.move(minutes=5)
        host.tick()
    assert isinstance(got[1], azure.functions.timer.TimerRequest)
    assert got[1].schedule == {"AdjustForDST": True}
    assert got[1].schedule_status == {
        "Last": "2024-05-06T12:05:00+00:00",
        "Next": "2024-05-06T12:10:00+00:00",
        "LastUpdated": "2024-05-06T12:05:00+00:00",
    }


def test_a_timer_faster_than_a_minute_has_no_status() -> None:
    """The host keeps none for it."""
    got, handler = recorder()
    with serving(app_of(handler, "*/10 * * * * *"), clock=Clock()) as host:
        host.fire("tick")
    assert got[0].schedule_status == {}


def test_a_handler_may_ask_for_the_text() -> None:
    """A parameter annotated as str gets the host's JSON."""
    got: list[str] = []

    def handler(timer: str) -> None:
        got.append(timer)

    with serving(app_of(handler), clock=Clock()) as host:
        host.fire("tick")
    assert '"IsPastDue": false' in got[0]


def test_the_schedule_may_come_from_the_settings() -> None:
    """The binding has %SETTING%."""
    with serving(app_of(recorder()[1], "%WHEN%"), settings={"WHEN": "0 0 13 * * *"}, clock=Clock()) as host:
        assert host.timers["tick"].next == NOON + timedelta(hours=1)


def test_an_absent_setting_is_refused() -> None:
    """It is refused before anything runs."""
    with pytest.raises(UnresolvedSettingError, match="WHEN"):
        LocalHost(index(app_of(recorder()[1], "%WHEN%")))


def test_a_bad_schedule_is_refused() -> None:
    """The worker takes any text; the host doesn't."""
    with pytest.raises(ScheduleError):
        LocalHost(index(app_of(recorder()[1], "every now and then")))


def test_fire_runs_it_now_and_leaves_the_schedule_alone() -> None:
    """The outcome is returned."""
    clock = Clock()
    with serving(app_of(recorder()[1]), clock=clock) as host:
        before = host.timers["tick"].next
        assert host.fire("tick").succeeded
        assert host.timers["tick"].next == before


def test_a_failing_turn_is_reported_and_the_schedule_goes_on() -> None:
    """The outcome has the handler's exception."""
    clock = Clock()

    def handler(timer: func.TimerRequest) -> None:
        raise ValueError("no")

    with serving(app_of(handler), clock=clock) as host:
        clock.move(minutes=5)
        (outcome,) = host.tick()
        assert isinstance(outcome.error, ValueError)
        assert host.timers["tick"].next == NOON + timedelta(minutes=10)


def test_a_result_without_a_binding_is_a_failure() -> None:
    """A timer has nowhere to return a value to."""

    def handler(timer: func.TimerRequest) -> str:
        return "x"

    with serving(app_of(handler), clock=Clock()) as host:
        assert "no $return binding" in str(host.fire("tick").error)


def test_a_retry_policy_is_told_not_to_work_here(caplog: pytest.LogCaptureFixture) -> None:
    """The log says so; it is not ignored in silence."""
    app = new_app()
    handler = app.timer_trigger(arg_name="timer", schedule="0 * * * * *")(recorder()[1])
    app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")(handler)
    LocalHost(index(app))
    assert "the retry policy of 'handler' works in Azure only" in caplog.text


def test_firing_an_unknown_function_is_a_key_error() -> None:
    """A typo in a test should be noticed."""
    with serving(app_of(recorder()[1]), clock=Clock()) as host, pytest.raises(KeyError):
        host.fire("tock")


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("tick", {"json": {"input": ""}}, 202),
        ("TICK", {"json": {}}, 202),
        ("tock", {"json": {}}, 404),
        ("tick", {"data": "{}"}, 415),
        ("tick", {"data": "x", "headers": {"Content-Type": "application/json"}}, 400),
        ("tick", {"json": None, "headers": {"Content-Type": "application/json"}}, 400),
    ],
)
def test_it_can_be_fired_over_http(name: str, options: dict[str, Any], status: int) -> None:
    """POST /admin/functions/<name> needs no key, as under Core Tools; 202 means that the function runs."""
    ran = threading.Event()
    with serving(app_of(calling(ran.set)), clock=Clock()) as host:
        assert requests.post(f"{host.url}/admin/functions/{name}", timeout=10, **options).status_code == status
        assert status != 202 or ran.wait(10)


def test_two_turns_of_one_function_never_overlap() -> None:
    """The second turn waits for the first."""
    inside = threading.Semaphore(1)
    started, go, overlaps, done = threading.Event(), threading.Event(), [], threading.Semaphore(0)

    def handler(timer: func.TimerRequest) -> None:
        overlaps.append(not inside.acquire(blocking=False))
        started.set()
        assert go.wait(10)
        inside.release()
        done.release()

    with serving(app_of(handler), clock=Clock()) as host:
        fire = f"{host.url}/admin/functions/tick"
        requests.post(fire, json={}, timeout=10)
        assert started.wait(10)
        requests.post(fire, json={}, timeout=10)
        # One more round trip: the host has begun all that it was asked before.
        requests.get(host.url, timeout=10)
        go.set()
        assert done.acquire(timeout=10)
        assert done.acquire(timeout=10)
    assert overlaps == [False, False]


def test_run_on_startup_runs_at_once() -> None:
    """It runs when triggers run by themselves."""
    ran = threading.Event()
    with serving(app_of(calling(ran.set), run_on_startup=True), triggers=True, clock=Clock()):
        assert ran.wait(10)


def test_timers_run_by_themselves() -> None:
    """Here every second, by the real clock."""
    ran = threading.Semaphore(0)
    with serving(app_of(calling(ran.release), "* * * * * *"), triggers=True):
        assert ran.acquire(timeout=10)
        assert ran.acquire(timeout=10)


def test_without_triggers_nothing_runs_by_itself() -> None:
    """A timer with run_on_startup doesn't run either."""
    got, handler = recorder()
    with serving(app_of(handler, "* * * * * *", run_on_startup=True)) as host:
        requests.get(host.url, timeout=10)
    assert got == []


def test_stopping_waits_for_a_turn_under_way() -> None:
    """The turn is finished, not interrupted."""
    started, finished = threading.Event(), threading.Event()
    go = threading.Event()

    def handler(timer: func.TimerRequest) -> None:
        started.set()
        go.wait(10)
        finished.set()

    with serving(app_of(handler, run_on_startup=True), triggers=True, clock=Clock()):
        assert started.wait(10)
        # Later than the web server needs for its own end.
        threading.Timer(0.5, go.set).start()
    assert finished.is_set()
