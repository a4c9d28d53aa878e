"""When tasks run: intervals, times of day, and the days on which the clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.background import daily, every
from shared.background.schedules import Schedule, first_instant

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
NOW = datetime(2026, 5, 4, 10, 3, 7, tzinfo=UTC)  # a Monday
ANYBODY = "oid.tid"


@pytest.mark.parametrize(
    ("day", "clock", "zone", "instant"),
    [
        ("2026-03-29", "02:30", "Europe/Berlin", "2026-03-29T01:00:00+00:00"),  # a gap: 03:00 is the first moment
        ("2026-10-25", "02:30", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),  # twice: the first
        ("2026-03-29", "07:00", "Europe/Berlin", "2026-03-29T05:00:00+00:00"),
        ("2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),  # a gap of half an hour
        ("2011-12-30", "07:00", "Pacific/Apia", "2011-12-30T10:00:00+00:00"),  # the day that Samoa left out
        ("2026-01-01", "00:00", "UTC", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_a_local_time_comes_once_on_every_day(day: str, clock: str, zone: str, instant: str) -> None:
    """In a gap it is the first valid instant, in an overlap the first of two."""
    found = first_instant(date.fromisoformat(day), time.fromisoformat(clock), ZoneInfo(zone))
    assert found == datetime.fromisoformat(instant)


def test_a_time_of_day_follows_the_person_s_time_zone() -> None:
    """7:00 in Berlin is 5:00 UTC in summer; without spread it is the same for everybody."""
    schedule = daily("07:00", spread=0)
    assert schedule.next(NOW, ANYBODY, BERLIN).at == datetime(2026, 5, 5, 5, tzinfo=UTC)
    assert schedule.next(NOW, ANYBODY, UTC_ZONE).at == datetime(2026, 5, 5, 7, tzinfo=UTC)
    fixed = daily("07:00", spread=0, zone="UTC")
    assert fixed.next(NOW, ANYBODY, BERLIN).at == datetime(2026, 5, 5, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "expected"),
    [("mon-fri", 5), ("sat,sun", 2), ("fri-mon", 4), ("wed", 1), ("mon-sun", 7), ("mon, wed-thu", 3)],
)
def test_days_of_the_week_are_kept(days: str, expected: int) -> None:
    """In a week there are as many occurrences as days were named."""
    schedule, moment, dates = daily("12:00", days=days, spread=0), NOW.replace(hour=0), []
    while (found := schedule.next(moment, ANYBODY, UTC_ZONE)).at < NOW.replace(hour=0) + timedelta(days=7):
        dates.append(found.date)
        moment = found.due_at
    assert len(set(dates)) == len(dates) == expected


def test_people_are_spread_over_some_minutes_and_keep_their_place() -> None:
    """Not everybody is due at 07:00:00, and nobody later than the spread."""
    schedule = daily("07:00", spread=10)
    found = [schedule.next(NOW, f"{number}.tid", UTC_ZONE) for number in range(200)]
    waits = [each.due_at - each.at for each in found]
    assert len({each.at for each in found}) == 1
    assert len(set(waits)) > 100
    assert timedelta(0) <= min(waits) < timedelta(minutes=1)
    assert timedelta(minutes=9) < max(waits) < timedelta(minutes=10)
    assert schedule.next(NOW, "7.tid", UTC_ZONE) == found[7]


def test_an_interval_has_each_slot_s_own_place() -> None:
    """All people of a slot are due together, the slots one after the other."""
    schedule = every(minutes=16)
    times = sorted({schedule.next(NOW, f"{number}.tid", UTC_ZONE).at for number in range(500)})
    assert len(times) == 16
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=1)}


MOMENTS = st.integers(1_577_836_800, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
SCHEDULES = st.sampled_from(
    [every(minutes=15), daily("02:30"), daily("07:00", days="mon-fri"), daily("23:55", spread=60)]
)


@given(SCHEDULES, MOMENTS, ZONES)
def test_the_latest_and_the_next_occurrence_are_neighbours(schedule: Schedule, now: datetime, zone: str) -> None:
    """None lies between them, and none is missed or found twice."""
    latest, following = (step(now, ANYBODY, ZoneInfo(zone)) for step in (schedule.latest, schedule.next))
    assert latest.due_at <= now < following.due_at
    assert schedule.next(latest.due_at, ANYBODY, ZoneInfo(zone)) == following
    assert schedule.latest(following.due_at, ANYBODY, ZoneInfo(zone)) == following
