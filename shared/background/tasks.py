"""What a task is: one piece of background work that is done in people's names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from shared.background.context import TaskContext
from shared.background.schedules import Schedule

TIME_LIMIT = timedelta(seconds=30)


@dataclass(frozen=True)
class Task:
    """One piece of background work. Call it with a context to run it, in a test for instance.

    Attributes:
        name: the function's; what is stored about the task has this name.
        run: the function.
        title, purpose: for people: what it is called, and what it does for them.
        scopes: the permissions that it needs, and why. It waits for people who did not grant them all.
        schedule: None: whenever the person's token is kept alive, which is while they are away.
        default: "off": it runs for those who turned it on. "on": for all who did not turn it off.
        time_limit: Graph calls end by then. A task that goes on is abandoned and counts as failed.
        settings: names of environment variables that belong to this task.
    """

    name: str
    run: Callable[[TaskContext], None] = field(repr=False)
    title: str = ""
    purpose: str = ""
    scopes: Mapping[str, str] = field(default_factory=dict)
    schedule: Schedule | None = None
    default: Literal["on", "off"] = "off"
    time_limit: timedelta = TIME_LIMIT
    settings: tuple[str, ...] = ()

    def __call__(self, context: TaskContext) -> None:
        """Runs the function."""
        self.run(context)


def task(
    *,
    title: str,
    purpose: str,
    scopes: Mapping[str, str],
    schedule: Schedule | None = None,
    default: Literal["on", "off"] = "off",
    time_limit: timedelta = TIME_LIMIT,
    settings: tuple[str, ...] = (),
) -> Callable[[Callable[[TaskContext], None]], Task]:
    """Makes a task of a function that takes a `TaskContext`. The arguments are `Task`'s attributes.

    Raises nothing: `shared.background.checks.problems` says at the start of the app what is wrong with all tasks.
    """

    def make(run: Callable[[TaskContext], None]) -> Task:
        name = getattr(run, "__name__", "")
        return Task(name, run, title, purpose, scopes, schedule, default, time_limit, settings)

    return make
