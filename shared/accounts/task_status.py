"""What is known about one task of one person: their choice, when it runs next, how it went. Plain data, no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

LONGEST_RECORD = 200  # characters


class Choice(StrEnum):
    """What the person decided about a task."""

    UNDECIDED = ""
    ON = "on"
    OFF = "off"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a task failed. Holds no token and nothing of the task's data.

    Attributes:
        reason: an error's type, `graph_<status>`, or a word of ours.
        first_at, last_at, count: of the failures in a row.
    """

    reason: str
    first_at: datetime
    last_at: datetime
    count: int = 1


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One task of one person.

    Attributes:
        next_at: when a sweep must run it; None when no time is set for it.
        occurrence: the time at which the run of `next_at` is meant to happen, or was when this is another try.
        date: the local date of `occurrence`, as YYYY-MM-DD.
        done: the last local date whose run is over, with success or without.
        tries: how often that run has failed.
        waiting: why it can't run for this person (`consent`: a permission is missing), or "".
        last_at: when it last ran to its end.
        last_record: what it said that it did then.
    """

    choice: Choice = Choice.UNDECIDED
    next_at: datetime | None = None
    occurrence: datetime | None = None
    date: str = ""
    done: str = ""
    tries: int = 0
    waiting: str = ""
    last_at: datetime | None = None
    last_record: str = ""
    failure: TaskFailure | None = None
