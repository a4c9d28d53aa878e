"""The background work that is done in each absent person's name. Write yours here: see docs/tasks.md.

A task is a plain function `(account, graph) -> None`. `account` is a copy to read, `account.last_swept_at` the time of
this turn; `account.task_state` is a dict of the task's own, and what it holds when the task returns is kept (all tasks
of a person share 32 KiB). `graph` calls Microsoft Graph as this person. A task that raises is recorded on the account
and runs again next time.
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
        scopes: run only for people who granted all of these.
        time_limit: Graph calls end by then; work that goes on is left behind and counts as failed.
    """

    name: str
    run: Callable[[Account, Graph], None]
    scopes: tuple[str, ...]
    time_limit: timedelta = timedelta(seconds=30)


def bare(scope: str) -> str:
    """A scope without the resource that it may name in front, in lower case."""
    return scope.rsplit("/", 1)[-1].lower()


def scopes_nobody_is_asked_for(tasks: Iterable[Task], asked: Iterable[str]) -> list[tuple[Task, str]]:
    """Tasks with a scope that people are not asked for at sign-in: they run for nobody who signs in now.

    Args:
        asked: the setting SCOPES.
    """
    known = {bare(scope) for scope in asked}
    return [(task, scope) for task in tasks for scope in task.scopes if bare(scope) not in known]


def profile_changes(account: Account, graph: Graph) -> None:
    """Keeps when the person's profile last changed; of the profile itself only a digest."""
    content = {name: value for name, value in graph.me().items() if not name.startswith("@")}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    if account.task_state.get("digest") != digest:
        changed_at = account.last_swept_at.isoformat() if account.last_swept_at else ""
        account.task_state.update(digest=digest, changed_at=changed_at)


TASKS = (Task("profile_changes", profile_changes, scopes=("User.Read",)),)
