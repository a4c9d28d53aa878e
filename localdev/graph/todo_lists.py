"""One person's To Do lists, and what changed in each since a number: the ground of delta links."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

STATUSES = ("notStarted", "inProgress", "completed", "waitingOnOthers", "deferred")
_SEED = ("Send the minutes", "Book the room", "Read the contract")


class TodoList:
    """Tasks in Graph's shape. Every change gets the next number; `generation` says which numbers these are."""

    def __init__(self, name: str, well_known: str, now: Callable[[], float]) -> None:
        self.id = "AQMkA" + uuid.uuid4().hex + "="
        self.name, self.well_known, self._now = name, well_known, now
        self.generation = uuid.uuid4().hex
        self.number = 0
        self._tasks: dict[str, dict[str, Any]] = {}
        self._changed: dict[str, int] = {}

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks, oldest first."""
        return list(self._tasks.values())

    def find(self, identity: str) -> dict[str, Any] | None:
        """The task with this ID."""
        return self._tasks.get(identity)

    def add(self, facts: dict[str, Any]) -> dict[str, Any]:
        """A new task."""
        identity = "AQMkT" + uuid.uuid4().hex + "="
        defaults = {
            "importance": "normal",
            "isReminderOn": False,
            "status": "notStarted",
            "title": "",
            "categories": [],
            "hasAttachments": False,
            "body": {"content": "", "contentType": "text"},
        }
        self._tasks[identity] = {"id": identity, "createdDateTime": self._stamp()} | defaults
        return self.change(identity, facts)

    def change(self, identity: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Changes a task; KeyError when there is none."""
        self._count(identity)
        task = self._tasks[identity] | facts
        task |= {"@odata.etag": f'W/"{self.number}"', "lastModifiedDateTime": self._stamp()}
        if "status" in facts:
            task.pop("completedDateTime", None)
            if facts["status"] == "completed":
                task["completedDateTime"] = {"dateTime": self._stamp(), "timeZone": "UTC"}
        self._tasks[identity] = task
        return task

    def delete(self, identity: str) -> None:
        """Removes a task; KeyError when there is none."""
        del self._tasks[identity]
        self._count(identity)

    def since(self, number: int) -> list[tuple[int, str, dict[str, Any] | None]]:
        """Changes after `number` in order: their number, the task's ID, and the task, or None when it is gone."""
        found = sorted((at, identity) for identity, at in self._changed.items() if at > number)
        return [(at, identity, self._tasks.get(identity)) for at, identity in found]

    def expire(self) -> None:
        """Makes every delta link of this list useless."""
        self.generation = uuid.uuid4().hex

    def _count(self, identity: str) -> None:
        self.number += 1
        self._changed[identity] = self.number

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


class Todo:
    """A person's lists. The first is the default one and has three tasks."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.lists: dict[str, TodoList] = {}
        self.default = self.add("Tasks", "defaultList")
        self.add("Flagged Emails", "flaggedEmails")
        for title in _SEED:
            self.default.add({"title": title})

    def add(self, name: str, well_known: str = "none") -> TodoList:
        """A new list."""
        made = TodoList(name, well_known, self._now)
        self.lists[made.id] = made
        return made

    def expire(self) -> None:
        """Makes every delta link useless."""
        for each in self.lists.values():
            each.expire()
