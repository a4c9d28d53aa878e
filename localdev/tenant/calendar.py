"""Made-up calendars: the same person and day always give the same events."""

import hashlib
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

_SUBJECTS = (
    "Stand-up",
    "Budget review",
    "Coffee with the team",
    "Planning",
    "Interview",
    "Customer call",
    "Focus time",
)
_LONGEST = timedelta(days=366)


def events_between(username: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Graph events that overlap the given time, in order. Looks at one year at most."""
    end = min(end, start + _LONGEST)
    days = range((end.astimezone(UTC).date() - start.astimezone(UTC).date()).days + 1)
    dates = (start.astimezone(UTC).date() + timedelta(days=each) for each in days)
    found = [each for day in dates if day.weekday() < 5 for each in _on(username, day)]
    return [event for begins, ends, event in found if begins < end and ends > start]


def _on(username: str, day: date) -> list[tuple[datetime, datetime, dict[str, Any]]]:
    digest = hashlib.sha256(f"{username} {day}".encode()).digest()
    count = 1 + digest[0] % 3
    return [_event(username, day, 9 + 3 * index, digest[index + 1]) for index in range(count)]


def _event(username: str, day: date, hour: int, seed: int) -> tuple[datetime, datetime, dict[str, Any]]:
    begins = datetime.combine(day, time(hour), UTC)
    ends = begins + timedelta(minutes=30 * (1 + seed % 3))
    identity = hashlib.sha256(f"{username} {begins}".encode()).hexdigest()[:24]
    return (
        begins,
        ends,
        {
            "id": identity,
            "subject": _SUBJECTS[seed % len(_SUBJECTS)],
            "start": {"dateTime": begins.strftime("%Y-%m-%dT%H:%M:%S.0000000"), "timeZone": "UTC"},
            "end": {"dateTime": ends.strftime("%Y-%m-%dT%H:%M:%S.0000000"), "timeZone": "UTC"},
            "location": {"displayName": f"Room {1 + seed % 9}"},
            "organizer": {"emailAddress": {"name": username.partition("@")[0].title(), "address": username}},
            "isAllDay": False,
            "isCancelled": False,
        },
    )
