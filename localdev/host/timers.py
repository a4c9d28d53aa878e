"""Timer triggers: when each one is due, and what its handler receives."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from localdev.host.bindings import Datum, decode
from localdev.host.config import resolve
from localdev.host.indexing import IndexedFunction
from localdev.host.schedule import Schedule

# Event loops and busy machines are often a little late; only more than this counts.
LATE = timedelta(seconds=2)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Timer:
    """One timer function and its next occurrence. Not thread-safe: the host runs one turn at a time."""

    function: IndexedFunction
    schedule: Schedule
    next: datetime
    run_on_startup: bool = False
    keeps_status: bool = True
    last: datetime = field(default=_NEVER)

    @classmethod
    def of(cls, function: IndexedFunction, settings: Mapping[str, str], now: datetime) -> "Timer":
        """The timer of a function, by its binding.

        Raises:
            UnresolvedSettingError: The schedule's %SETTING% has no value.
            ScheduleError: The schedule is not NCRONTAB, or never occurs.
        """
        properties = function.trigger.properties
        schedule = Schedule.parse(resolve(str(properties["schedule"]), settings, function=function.name))
        return cls(
            function,
            schedule,
            next=schedule.next(now),
            run_on_startup=bool(properties.get("runOnStartup")),
            keeps_status=properties.get("useMonitor") is not False and not schedule.is_subminute,
        )

    def is_due(self, now: datetime) -> bool:
        """Whether the next occurrence has come."""
        return now >= self.next

    def is_late(self, now: datetime) -> bool:
        """Whether the next occurrence passed a while ago: the machine slept, or the last turn took too long.

        Azure finds a late turn only when a host starts. Here nothing is remembered from an earlier start.
        """
        return now - self.next > LATE

    def arguments(self, *, past_due: bool) -> dict[str, Any]:
        """The handler's argument, decoded from the JSON that the host sends."""
        name = self.function.trigger.name
        last, upcoming = self.last.isoformat(), self.next.isoformat()
        content = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {"Last": last, "Next": upcoming, "LastUpdated": last} if self.keeps_status else None,
            "IsPastDue": past_due,
        }
        return {name: decode(self.function.parameters[name], Datum(json.dumps(content), "json"))}

    def ran(self, started: datetime, *, scheduled: bool) -> None:
        """Record a turn that began at `started`. Only a scheduled one moves the next occurrence.

        Occurrences during a long turn are not repeated one by one: a single late turn follows.
        """
        if scheduled:
            # A tick that is a little early must not run the same occurrence twice.
            moment = max(started, self.next)
            self.last = moment
            self.next = self.schedule.next(moment)
