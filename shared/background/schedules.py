"""When a task runs: `every(minutes=15)`, or `daily("07:00", days="mon-fri")`. Pure functions of time.

A schedule is checked when the app starts (`problems`), not where it is written, so that one error lists everything.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.accounts import EPOCH, SLOTS, slot_of

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHORTEST = timedelta(minutes=1)
_LONGEST = timedelta(days=31)
_MOST_SPREAD = 12 * 60  # minutes
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time at which a task is meant to run for one person.

    Attributes:
        at: the time by the schedule, UTC.
        due_at: the person's own turn: `at`, and their share of the spread.
        date: the local date, as YYYY-MM-DD.
    """

    at: datetime
    due_at: datetime
    date: str


class Schedule(Protocol):
    """When a task runs."""

    @property
    def is_once_per_date(self) -> bool:
        """May no local date have two occurrences, although the person's time zone changes?"""
        ...

    def problems(self) -> list[str]:
        """What is wrong with it; nothing when it can be used."""
        ...

    def next(self, after: datetime, account_id: str, zone: ZoneInfo) -> Occurrence:
        """The first occurrence whose turn comes after `after`."""
        ...

    def latest(self, now: datetime, account_id: str, zone: ZoneInfo) -> Occurrence:
        """The last occurrence whose turn has come by `now`."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """An interval. Each slot has its own place in it, the same as for keeping tokens alive."""

    interval: timedelta

    @property
    def is_once_per_date(self) -> bool:
        """No."""
        return False

    def problems(self) -> list[str]:
        """See Schedule."""
        if _SHORTEST <= self.interval <= _LONGEST:
            return []
        return ["every(...): an interval from 1 minute to 31 days is needed"]

    def next(self, after: datetime, account_id: str, zone: ZoneInfo) -> Occurrence:
        """See Schedule."""
        return self._at(after + self.interval - self._passed(after, account_id), zone)

    def latest(self, now: datetime, account_id: str, zone: ZoneInfo) -> Occurrence:
        """See Schedule."""
        return self._at(now - self._passed(now, account_id), zone)

    def _passed(self, moment: datetime, account_id: str) -> timedelta:
        offset = self.interval * int(slot_of(account_id), 16) / SLOTS
        return (moment - EPOCH - offset) % self.interval

    def _at(self, moment: datetime, zone: ZoneInfo) -> Occurrence:
        return Occurrence(moment, moment, moment.astimezone(zone).date().isoformat())


@dataclass(frozen=True, slots=True)
class Daily:
    """A time of day on some days of the week.

    Attributes:
        at: HH:MM.
        days: `mon-fri`, `sat,sun`, or both forms mixed.
        spread: minutes over which people are distributed, by their account.
        zone: an IANA name; "" for each person's own.
    """

    at: str
    days: str
    spread: int
    zone: str

    @property
    def is_once_per_date(self) -> bool:
        """Yes."""
        return True

    def problems(self) -> list[str]:
        """See Schedule."""
        found = []
        if _time_of_day(self.at) is None:
            found.append(f'daily({self.at!r}): a time such as "07:00" is needed')
        if not _weekdays(self.days):
            found.append(f'days={self.days!r}: days such as "mon-fri" or "mon,wed" are needed')
        if type(self.spread) is not int or not 0 <= self.spread <= _MOST_SPREAD:
            found.append(f"spread={self.spread!r}: whole minutes from 0 to {_MOST_SPREAD} are needed")
        if self.zone and zone_of(self.zone) is None:
            found.append(f'zone={self.zone!r}: an IANA time zone such as "Europe/Berlin" is needed')
        return found

    def next(self, after: datetime, account_id: str, zone: ZoneInfo) -> Occurrence:
        """See Schedule."""
        days = self._around(after, account_id, zone, step=1)
        return next(each for each in days if each.due_at > after)

    def latest(self, now: datetime, account_id: str, zone: ZoneInfo) -> Occurrence:
        """See Schedule."""
        days = self._around(now, account_id, zone, step=-1)
        return next(each for each in days if each.due_at <= now)

    def _around(self, moment: datetime, account_id: str, zone: ZoneInfo, *, step: int) -> Iterator[Occurrence]:
        """The occurrences of two weeks, beginning a little before `moment` as seen in the direction of `step`."""
        zone = (zone_of(self.zone) if self.zone else None) or zone
        clock, weekdays = _time_of_day(self.at), _weekdays(self.days)
        assert clock is not None
        start = moment.astimezone(zone).date()
        for count in range(-2, 15):
            day = start + timedelta(days=step * count)
            if day.weekday() in weekdays:
                at = first_instant(day, clock, zone)
                yield Occurrence(at, at + self._share_of(account_id), day.isoformat())

    def _share_of(self, account_id: str) -> timedelta:
        number = int.from_bytes(hashlib.sha256(account_id.encode()).digest()[1:5])
        return timedelta(seconds=self.spread * 60 * number >> 32)


def every(*, minutes: float = 0, hours: float = 0, days: float = 0) -> Every:
    """Again and again, after this time."""
    return Every(timedelta(minutes=minutes, hours=hours, days=days))


def daily(at: str, *, days: str = "mon-sun", spread: int = 10, zone: str = "") -> Daily:
    """At a time of day.

    Where the clocks are put forward over this time, it runs at the first moment after the gap; where they are put back,
    at the first of the two.

    Args:
        at: HH:MM.
        days: `mon-fri`, or `mon,wed`.
        spread: minutes. Each person has a place in them, so that not everybody is due at once.
        zone: an IANA time zone, `UTC` for instance; without one, each person's own.
    """
    return Daily(at, days, spread, zone)


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of this IANA name; None when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder's name, or one that is too long
        return None


def first_instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """When a local time comes, in UTC: the first of two, or the first moment after the gap that it lies in.

    In a gap `fold=1` gives the instant by the offset that comes after it, which is the earlier one (PEP 495, "Temporal
    arithmetic and comparison operators" and "Conversion from Naive to Aware").
    """
    local = datetime.combine(day, clock, tzinfo=zone)
    found = local.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return found
    before, after = local.replace(fold=1).astimezone(UTC), found
    while after - before > _SECOND:  # the offset changes between the two
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset():
            before = middle
        else:
            after = middle
    return (after + _SECOND / 2).replace(microsecond=0)


def _time_of_day(text: str) -> time | None:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text) if isinstance(text, str) else None
    return time(int(match[1]), int(match[2])) if match else None


def _weekdays(text: str) -> frozenset[int]:
    """Numbers of weekdays, Monday is 0; none when the text makes no sense."""
    found: set[int] = set()
    for part in text.lower().split(",") if isinstance(text, str) else ():
        first, dash, last = (each.strip() for each in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            return frozenset()
        start, end = DAYS.index(first), DAYS.index(last or first)
        found.update((start + count) % 7 for count in range((end - start) % 7 + 1))
    return frozenset(found)
