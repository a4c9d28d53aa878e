"""NCRONTAB, the timer trigger's schedule (learn.microsoft.com: Timer trigger for Azure Functions).

Six fields, or five without the seconds: second minute hour day month weekday. Both the day of the month and the weekday
must match (in classic cron one is enough). Times are UTC, as on Linux plans.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from localdev.host.errors import ScheduleError

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
# The next 29th of February on a given weekday can be forty years away.
_HORIZON_DAYS = 41 * 366


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def parse(self, text: str) -> frozenset[int]:
        values: set[int] = set()
        for part in text.split(","):
            values.update(self._part(part))
        return frozenset(values)

    def _part(self, part: str) -> range:
        body, slash, step_text = part.partition("/")
        if slash and not step_text.isdecimal():
            raise ValueError(f"'{part}' has no number after '/'")
        # NCRONTAB reads a step of 0 as 1.
        step = max(1, int(step_text)) if slash else 1
        if body == "*":
            return range(self.low, self.high + 1, step)
        first, dash, last = body.partition("-")
        start = self._value(first)
        end = self._value(last) if dash else (self.high if slash else start)
        # NCRONTAB swaps the ends of a reversed range: FRI-MON means MON-FRI.
        return range(min(start, end), max(start, end) + 1, step)

    def _value(self, text: str) -> int:
        if text.isdecimal():
            value = int(text)
        else:
            # Any prefix of a name is enough; the first match counts.
            matches = [i for i, name in enumerate(self.names) if text and name.startswith(text.lower())]
            if not matches:
                raise ValueError(f"'{text}' is not a {self.name}")
            value = matches[0] + self.low
        if not self.low <= value <= self.high:
            raise ValueError(f"{value} is not a {self.name} ({self.low} to {self.high})")
        return value


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 6, _DAYS),
)


@dataclass(frozen=True)
class Schedule:
    """A parsed expression. `parse` makes one."""

    expression: str
    _seconds: tuple[int, ...]
    _minutes: tuple[int, ...]
    _hours: tuple[int, ...]
    _days: frozenset[int]
    _months: frozenset[int]
    _weekdays: frozenset[int]

    @classmethod
    def parse(cls, expression: str) -> "Schedule":
        """Parse an NCRONTAB expression.

        Raises:
            ScheduleError: It is not one. The TimeSpan form is refused, too: it works on App Service plans only.
        """
        if re.fullmatch(r"\s*(\d+\.)?\d+:\d+(:\d+)?\s*", expression):
            raise ScheduleError(expression, "a time span works on App Service plans only; write six NCRONTAB fields")
        fields = expression.split()
        if len(fields) not in (5, 6):
            raise ScheduleError(expression, "needs six fields: second minute hour day month weekday")
        texts = ["0", *fields] if len(fields) == 5 else fields
        try:
            sets = [field.parse(text) for field, text in zip(_FIELDS, texts, strict=True)]
        except ValueError as error:
            raise ScheduleError(expression, str(error)) from error
        seconds, minutes, hours = (tuple(sorted(values)) for values in sets[:3])
        return cls(expression, seconds, minutes, hours, sets[3], sets[4], sets[5])

    def next(self, after: datetime) -> datetime:
        """The first occurrence after `after`, in the same time zone.

        Raises:
            ScheduleError: There is none, for instance on the 31st of February.
        """
        start = after.replace(microsecond=0) + timedelta(seconds=1)
        first_day = start.date()
        if self._matches(first_day) and (found := self._time_from(start.time().replace(tzinfo=None))):
            return datetime.combine(first_day, found, after.tzinfo)
        for offset in range(1, _HORIZON_DAYS):
            day = first_day + timedelta(days=offset)
            if self._matches(day):
                earliest = time(self._hours[0], self._minutes[0], self._seconds[0])
                return datetime.combine(day, earliest, after.tzinfo)
        raise ScheduleError(self.expression, "never occurs")

    @property
    def is_subminute(self) -> bool:
        """Whether it occurs more than once in every minute. The host keeps no status for such a timer."""
        every_day = len(self._days) == 31 and len(self._months) == 12 and len(self._weekdays) == 7
        return every_day and len(self._hours) == 24 and len(self._minutes) == 60 and len(self._seconds) > 1

    def _matches(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        return day.month in self._months and day.day in self._days and weekday in self._weekdays

    def _time_from(self, start: time) -> time | None:
        for hour in (h for h in self._hours if h >= start.hour):
            same_hour = hour == start.hour
            for minute in (m for m in self._minutes if not same_hour or m >= start.minute):
                same_minute = same_hour and minute == start.minute
                for second in self._seconds:
                    if not same_minute or second >= start.second:
                        return time(hour, minute, second)
        return None
