"""What is wrong with the tasks, all at once, when the app starts."""

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta

from shared.background.tasks import Task

LONGEST_LIMIT = timedelta(minutes=10)  # host.json's functionTimeout: the host ends what goes on
_NAME = r"[A-Za-z]\w{0,59}"
_SETTING = r"[A-Z][A-Z0-9_]{0,99}"
_SCOPE = r"[\x21\x23-\x5b\x5d-\x7e]{1,200}"  # RFC 6749, 3.3


def problems(tasks: Iterable[Task]) -> list[str]:
    """One line per problem; nothing when all tasks can run."""
    known = list(tasks)
    found = [f"task {task.name}: {problem}" for task in known for problem in _problems_of(task)]
    counts = Counter(task.name for task in known)
    return found + [f"task {name}: {count} tasks have this name" for name, count in counts.items() if count > 1]


def _problems_of(task: Task) -> Iterator[str]:
    if not re.fullmatch(_NAME, task.name, re.ASCII):
        yield "a name of letters, digits and underscores is needed, 60 at most"
    if inspect.iscoroutinefunction(task.run):
        yield "async def doesn't run here; write def, and call asyncio.run in it"
    if not timedelta(0) < task.time_limit <= LONGEST_LIMIT:
        yield f"time_limit must be more than zero and at most {LONGEST_LIMIT.seconds // 60} minutes (functionTimeout)"
    if task.default not in ("on", "off"):
        yield 'default must be "on" or "off"'
    if task.schedule is not None:
        yield from task.schedule.problems()
    yield from _odd_names(task)


def _odd_names(task: Task) -> Iterator[str]:
    for scope in task.scopes:
        if not re.fullmatch(_SCOPE, scope) or scope.lower().endswith("/.default"):
            yield f"{scope!r} is not the name of a permission"
    for name in task.settings:
        if not re.fullmatch(_SETTING, name, re.ASCII):
            yield f"{name!r} is not a setting's name: capitals, digits and underscores are needed"
