"""What a task gets: the person, Microsoft Graph in their name, and what is kept for the next run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.accounts import LONGEST_RECORD, MOST_JSON_BYTES, Account
from shared.clients.graph import Graph


class TaskState(dict[str, Any]):
    """A task's own dict, kept as JSON until its next run. All tasks of a person share 32 KiB.

    What can't be kept raises where it is assigned. (A change within a value, such as `state["list"].append(...)`, is
    looked at when the task ends.)

    Args:
        taken: bytes that the other tasks' states take.
    """

    def __init__(self, known: Mapping[str, Any] | None = None, *, taken: int = 0) -> None:
        super().__init__(known or {})
        self._taken = taken

    def __setitem__(self, key: str, value: Any) -> None:
        """Raises TypeError for what is not JSON, ValueError for what is too large."""
        self.check({**self, key: value})
        super().__setitem__(key, value)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """See dict. Raises like an assignment."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **values: Any) -> None:
        """See dict. Raises like an assignment; nothing is changed then."""
        changes = dict(*others, **values)
        self.check({**self, **changes})
        super().update(changes)

    def __ior__(self, other: Any) -> "TaskState":  # type: ignore[override, misc]  # dict promises less than Self
        self.update(other)
        return self

    def check(self, values: Mapping[str, Any] | None = None) -> None:
        """Raises TypeError or ValueError when these values, or those that are there, can't be kept."""
        wanted = self if values is None else values
        if not all(isinstance(key, str) for key in wanted):
            raise TypeError("a key of the state is not a text")
        try:
            text = json.dumps(wanted, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"the state must be JSON: {error}") from error
        if len(text) + self._taken > MOST_JSON_BYTES:
            raise ValueError(f"the state of all tasks has more than {MOST_JSON_BYTES} bytes")


@dataclass
class TaskContext:
    """One run of a task for one person.

    Attributes:
        account: the person, to read; without their token cache.
        graph: Microsoft Graph in their name, within the task's time limit.
        state: what the last run kept, and this one keeps: also when it fails.
        occurrence: when this run was meant to happen; the time of the turn for a task without a schedule.
        today: the person's local date then.
        zone: their time zone.
        settings: the task's own, by name; "" for one that is not set.
        dry_run: is it only tried out? Then nothing is written.
        recorded: the last text given to `record`.
    """

    account: Account
    graph: Graph
    state: TaskState
    occurrence: datetime
    today: date
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    settings: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    recorded: str = ""

    def record(self, text: str) -> None:
        """Says what was done, for the person: one sentence, of which 200 characters are kept."""
        self.recorded = str(text).encode(errors="replace").decode()[:LONGEST_RECORD]
