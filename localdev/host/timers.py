"""Timer triggers: when each is due, and what its handler is told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from localdev.host.bindings import Datum, decode
from localdev.host.config import resolve
from localdev.host.indexing import IndexedFunction
from localdev.host.schedule import Schedule

# Later than this is late: below it lies what event loops and busy machines do every day.
LATE = timedelta(seconds=2)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Timer:
    """One timer function and its place in time. Not thread-safe: its host takes care that turns don't overlap."""

    function: IndexedFunction
    schedule: Schedule
    next: datetime
    run_on_startup: bool = False
    keeps_status: bool = True
    last: datetime = field(default=_NEVER)

    @classmethod
    def of(cls, function: IndexedFunction, settings: Mapping[str, str], now: datetime) -> "Timer":
        """Read a timer function's binding.

        Raises:
            UnresolvedSettingError: Its %SETTING% has no value.
            ScheduleError: Its schedule is not NCRONTAB, or never occurs.
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
        """Whether its moment has come."""
        return now >= self.next

    def is_late(self, now: datetime) -> bool:
        """Whether its moment passed a while ago: the machine slept, or the last turn took too long.

        Azure notes a late turn only when a host starts; here, nothing outlives the host.
        """
        return now - self.next > LATE

    def arguments(self, *, past_due: bool) -> dict[str, Any]:
        """The handler's argument, made from the JSON that the host sends."""
        name = self.function.trigger.name
        return {name: decode(self.function.parameters[name], self._datum(past_due=past_due))}

    def ran(self, started: datetime, *, scheduled: bool) -> None:
        """Note a turn that began at `started`; only one on schedule moves the next occurrence.

        Occurrences that fell into a long turn are not made up one by one: a single late turn follows.
        """
        if scheduled:
            # A tick a little early must not meet the same occurrence twice.
            moment = max(started, self.next)
            self.last = moment
            self.next = self.schedule.next(moment)

    def _datum(self, *, past_due: bool) -> Datum:
        status = {"Last": _text(self.last), "Next": _text(self.next), "LastUpdated": _text(self.last)}
        content = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": status if self.keeps_status else None,
            "IsPastDue": past_due,
        }
        return Datum(json.dumps(content), "json")


def _text(moment: datetime) -> str:
    return moment.isoformat()
