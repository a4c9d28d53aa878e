"""One person's calendar: made-up events, always the same for a person and day, and what was changed since."""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
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


@dataclass
class Event:
    """One event; `facts` are its properties but the times."""

    id: str
    begins: datetime
    ends: datetime
    facts: dict[str, Any] = field(default_factory=dict)


class Calendar:
    """Made-up events until somebody changes them."""

    def __init__(self, username: str) -> None:
        self._username = username
        self._changed: dict[str, Event | None] = {}
        self._transactions: dict[str, str] = {}

    def between(self, start: datetime, end: datetime) -> list[Event]:
        """Events that overlap the given time, in order. Looks at one year at most."""
        end = min(end, start + _LONGEST)
        known = [each for each in self._made_up(start, end) if each.id not in self._changed]
        known += [each for each in self._changed.values() if each]
        return sorted(
            (each for each in known if each.begins < end and each.ends > start), key=lambda each: (each.begins, each.id)
        )

    def find(self, identity: str) -> Event | None:
        """The event with this ID."""
        if identity in self._changed:
            return self._changed[identity]
        return next((each for each in self._on_day_of(identity) if each.id == identity), None)

    def create(self, begins: datetime, ends: datetime, facts: dict[str, Any]) -> Event:
        """A new event, or the one that this `transactionId` made before."""
        transaction = str(facts.get("transactionId") or "")
        known = self._changed.get(self._transactions.get(transaction, ""))
        if transaction and known:
            return known
        event = Event("AAMkC" + uuid.uuid4().hex, begins, ends, facts)
        self.keep(event)
        if transaction:
            self._transactions[transaction] = event.id
        return event

    def keep(self, event: Event) -> None:
        """Stores a changed event."""
        self._changed[event.id] = event

    def delete(self, identity: str) -> None:
        """Removes an event."""
        self._changed[identity] = None

    def _made_up(self, start: datetime, end: datetime) -> Iterator[Event]:
        first = start.astimezone(UTC).date()
        for number in range((end.astimezone(UTC).date() - first).days + 1):
            yield from _on(self._username, first + timedelta(days=number))

    def _on_day_of(self, identity: str) -> list[Event]:
        try:
            return _on(self._username, date.fromordinal(int(identity[16:22], 16)))
        except (ValueError, OverflowError):
            return []


def _on(username: str, day: date) -> list[Event]:
    if day.weekday() >= 5:
        return []
    digest = hashlib.sha256(f"{username} {day}".encode()).digest()
    return [_event(username, day, 9 + 3 * index, digest[index + 1]) for index in range(1 + digest[0] % 3)]


def _event(username: str, day: date, hour: int, seed: int) -> Event:
    begins = datetime.combine(day, time(hour), UTC)
    # The day can be read from the ID, so that an event is found by it.
    owner = hashlib.sha256(username.encode()).hexdigest()[:16]
    return Event(
        f"{owner}{day.toordinal():06x}{hour:02x}",
        begins,
        begins + timedelta(minutes=30 * (1 + seed % 3)),
        {
            "subject": _SUBJECTS[seed % len(_SUBJECTS)],
            "location": {"displayName": f"Room {1 + seed % 9}"},
            "organizer": {"emailAddress": {"name": username.partition("@")[0].title(), "address": username}},
        },
    )
