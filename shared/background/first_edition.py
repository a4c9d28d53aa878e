"""Tasks as the first edition had them: a function of an account and of Graph. They still run, as before: for everybody
who granted their scopes, whenever the person's token is kept alive."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.accounts import Account
from shared.background import tasks as second_edition
from shared.background.context import TaskContext
from shared.clients.graph import Graph


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of background work.

    Attributes:
        run: the function. `account.task_state` is the task's own dict; it is kept when the function returns.
        scopes: the task runs only for people who granted all of these.
        time_limit: Graph calls end by then. A task that goes on is abandoned and counts as failed.
    """

    name: str
    run: Callable[[Account, Graph], None]
    scopes: tuple[str, ...]
    time_limit: timedelta = second_edition.TIME_LIMIT


AnyTask = second_edition.Task | Task


def adapted(tasks: Iterable[AnyTask]) -> tuple[second_edition.Task, ...]:
    """The tasks, those of the first edition too, as tasks of today."""
    return tuple(_adapt(each) if isinstance(each, Task) else each for each in tasks)


def _adapt(task: Task) -> second_edition.Task:
    def run(context: TaskContext) -> None:
        own = copy.deepcopy(dict(context.state))
        task.run(replace(context.account, task_state=own), context.graph)
        context.state.check(own)
        context.state.clear()
        context.state.update(own)

    scopes = dict.fromkeys(task.scopes, "")
    return second_edition.Task(task.name, run, task.name, scopes=scopes, default="on", time_limit=task.time_limit)
