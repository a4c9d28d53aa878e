"""The background work that is done in each absent person's name. Write yours here: see docs/tasks.md.

A task is a plain function `(account, graph) -> None`. `account` is a copy to read; `account.last_swept_at` is the time
of this turn. `account.task_state` is this task's own dict; its content is saved when the task returns (all tasks of a
person share 32 KiB of JSON). `graph` calls Microsoft Graph as this person. When a task raises, the failure is recorded
on the account, and the task runs again at the next turn.
"""

import hashlib
import json
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


def profile_changes(account: Account, graph: Graph) -> None:
    """Stores when the person's profile last changed, and a digest of it."""
    content = {name: value for name, value in graph.me().items() if not name.startswith("@")}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    if account.task_state.get("digest") != digest:
        changed_at = account.last_swept_at.isoformat() if account.last_swept_at else ""
        account.task_state.update(digest=digest, changed_at=changed_at)


TASKS = (Task("profile_changes", profile_changes, scopes=("User.Read",)),)
