"""How far apart the timer's ticks are, by its NCRONTAB schedule (six fields, seconds first)."""

from datetime import timedelta
from functools import cache
from itertools import pairwise

_MONTH, _WEEK = 31, 7  # days
_DAY_SECONDS = 86_400


@cache
def longest_gap(schedule: str) -> timedelta:
    """The longest time between two ticks, rounded up where it depends on the calendar.

    A schedule that can't be read counts as daily: the Functions host refuses bad schedules, not this module. Fields:
    "Timer trigger for Azure Functions", NCRONTAB expressions.
    """
    fields = schedule.split()
    try:
        seconds, minutes, hours = (_values(text, top) for text, top in zip(fields[:3], (59, 59, 23), strict=True))
        days = _days_between(*fields[3:])
    except (ValueError, IndexError, TypeError):
        return timedelta(days=1)
    times = sorted(3600 * h + 60 * m + s for h in hours for m in minutes for s in seconds)
    within = max((later - earlier for earlier, later in pairwise(times)), default=0)
    over_night = times[0] + days * _DAY_SECONDS - times[-1]
    return timedelta(seconds=max(within, over_night))


def _values(text: str, top: int) -> list[int]:
    """The values of one field, sorted: of `*`, `7`, `1-5`, `*/5`, `10-50/10`, and lists of these. Raises ValueError."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        start, end = (0, top) if span == "*" else (int(first), int(last) if dash else top if step else int(first))
        found |= set(range(start, end + 1, int(step or 1)))
    if not found or min(found) < 0 or max(found) > top:
        raise ValueError(text)
    return sorted(found)


def _days_between(day_of_month: str, month: str, day_of_week: str) -> int:
    """The most days between two days with ticks. Raises ValueError, IndexError."""
    if month != "*":
        return 366
    if day_of_month != "*":
        return _MONTH
    if day_of_week == "*":
        return 1
    try:
        days = _values(day_of_week, 7)
    except ValueError:  # names of days
        return _WEEK
    around = [*days, days[0] + _WEEK]
    return max(later - earlier for earlier, later in pairwise(around))
