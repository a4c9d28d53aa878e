"""Times and durations in words, as pages show them. All times are in UTC and say so."""

from datetime import datetime, timedelta

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_JUST_NOW = 10  # seconds


def spelled(at: datetime) -> str:
    """`20 Nov 2026, 11:31 UTC`."""
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def in_words(duration: timedelta) -> str:
    """`2 hours`, `1 minute`, `45 seconds`: the largest unit that fits, rounded down."""
    seconds = int(abs(duration.total_seconds()))
    for name, size in _UNITS:
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}" + ("s" if count > 1 else "")
    return "0 seconds"


def interval(duration: timedelta) -> str:
    """A duration after the word "every": `hour`, `2 hours`."""
    return in_words(duration).removeprefix("1 ")


def relative(at: datetime, now: datetime) -> str:
    """`5 minutes ago`, `in 2 hours`, `just now`."""
    away = at - now
    if abs(away.total_seconds()) < _JUST_NOW:
        return "just now"
    return f"in {in_words(away)}" if away > timedelta(0) else f"{in_words(away)} ago"
