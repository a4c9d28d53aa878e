"""What a task is: one piece of background work that is done in each absent person's name.

Its function is plain, `(account, graph) -> None`. `account` is a copy to read; `account.last_swept_at` is the time of
this turn. `account.task_state` is this task's own dict; its content is saved when the task returns (all tasks of a
person share 32 KiB of JSON). `graph` calls Microsoft Graph as this person. When a task raises, the failure is recorded
on the account, and the task runs again at the next turn.

This module imports none of timer_worker, so a task can stand in a module of its own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from shared.accounts import Account
from shared.clients.graph import Graph


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of background work.

    Attributes:
        run: the function.
        scopes: the task runs only for people who granted all of these.
        time_limit: Graph calls end by then. A task that goes on is abandoned and counts as failed.
    """

    name: str
    run: Callable[[Account, Graph], None]
    scopes: tuple[str, ...]
    time_limit: timedelta = timedelta(seconds=30)


def bare(scope: str) -> str:
    """A scope in lower case, without the resource in front."""
    return scope.rsplit("/", 1)[-1].lower()


def scopes_nobody_is_asked_for(tasks: Iterable[Task], asked: Iterable[str]) -> list[tuple[Task, str]]:
    """Pairs of a task and a scope of it that sign-in does not ask for. Such a task runs for nobody who signs in now.

    Args:
        asked: the setting SCOPES.
    """
    known = {bare(scope) for scope in asked}
    return [(task, scope) for task in tasks for scope in task.scopes if bare(scope) not in known]
