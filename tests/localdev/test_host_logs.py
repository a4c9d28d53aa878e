"""Which log records the local host writes: those that the real host would not drop."""

import io
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import azure.functions as func
import pytest

from localdev.host import LocalHost, logs
from tests.localdev.host_apps import new_app, serving

logger = logging.getLogger("somebody.elses")


@pytest.fixture
def written() -> Iterator[Callable[[], list[str]]]:
    """Gives the lines that the host's log handler has written, without their time."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logs.handler(stream), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [line.partition("Z] ")[2] for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


def say(text: str, context: func.Context | None = None, invocation: str | None = None) -> None:
    """Logs in a new thread, which may set the invocation's id first."""

    def run() -> None:
        if context:
            local: Any = context.thread_local_storage
            local.invocation_id = invocation or context.invocation_id
        logger.info(text)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def fire(handler: Callable[..., object]) -> LocalHost:
    """Runs a timer's handler once. The host has ended afterwards."""
    app = new_app()
    app.function_name("tick")(app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")(handler))
    with serving(app) as host:
        assert host.fire("tick").succeeded
        return host


def own(lines: list[str]) -> list[str]:
    """The lines without the host's beginning and end of an invocation."""
    return [line for line in lines if "'Functions.tick'" not in line]


def test_a_handlers_own_thread_is_written(written: Callable[[], list[str]]) -> None:
    """The line has the function's name."""

    def handler(timer: func.TimerRequest) -> None:
        logger.info("from the handler")

    fire(handler)
    assert own(written()) == ["INFO tick: from the handler"]


def test_a_thread_without_the_invocations_id_is_dropped(written: Callable[[], list[str]]) -> None:
    """An id that is not executing doesn't help."""

    def handler(timer: func.TimerRequest, context: func.Context) -> None:
        say("without")
        say("with another's", context, "8e3d7b6c-0000-0000-0000-000000000000")
        say("with", context)

    fire(handler)
    assert own(written()) == ["INFO tick: with"]


def test_a_thread_that_outlives_its_invocation_is_dropped(written: Callable[[], list[str]]) -> None:
    """The host has forgotten the id."""
    late: list[func.Context] = []

    def handler(timer: func.TimerRequest, context: func.Context) -> None:
        late.append(context)

    fire(handler)
    say("too late", late[0])
    assert own(written()) == []


def test_async_handlers_are_written(written: Callable[[], list[str]]) -> None:
    """The worker keeps their id in the task."""

    async def handler(timer: func.TimerRequest) -> None:
        logger.info("from a task")

    fire(handler)
    assert own(written()) == ["INFO tick: from a task"]


def test_records_outside_every_invocation_are_dropped_but_the_hosts_own_are_written(
    written: Callable[[], list[str]],
) -> None:
    """The app logs outside an invocation while it is imported, for instance."""
    logger.warning("while importing")
    logging.getLogger("localdev.host").warning("said by the host")
    assert written() == ["WARNING host: said by the host"]


def test_begin_and_end_are_written_with_the_functions_name(written: Callable[[], list[str]]) -> None:
    """The end has the outcome."""

    def handler(timer: func.TimerRequest) -> None:
        """Does nothing."""

    fire(handler)
    began, ended = written()
    assert began.startswith("INFO tick: Executing 'Functions.tick' (")
    assert ended.startswith("INFO tick: Executed 'Functions.tick' (Succeeded")
