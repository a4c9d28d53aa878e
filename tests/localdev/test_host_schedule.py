"""NCRONTAB."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localdev.host import Schedule, ScheduleError

MONDAY = datetime(2024, 1, 1, 10, 3, 7, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 */5 * * * *", "2024-01-01T10:05:00+00:00"),
        ("*/5 * * * *", "2024-01-01T10:05:00+00:00"),
        ("30 3 10 * * *", "2024-01-01T10:03:30+00:00"),
        ("7 3 10 * * *", "2024-01-02T10:03:07+00:00"),
        ("* * * * * *", "2024-01-01T10:03:08+00:00"),
        ("0 0 12 1,15 * *", "2024-01-01T12:00:00+00:00"),
        ("0 0 9-17/4 * * *", "2024-01-01T13:00:00+00:00"),
        ("0 7/20 * * * *", "2024-01-01T10:07:00+00:00"),
        ("0 0 0 29 2 *", "2024-02-29T00:00:00+00:00"),
        ("0 0 0 * * Tue", "2024-01-02T00:00:00+00:00"),
        ("0 0 0 * Mar *", "2024-03-01T00:00:00+00:00"),
        ("0 0 0 * * Fri-Mon", "2024-01-02T00:00:00+00:00"),
        ("0 0 0 31 * *", "2024-01-31T00:00:00+00:00"),
        ("0 */0 * * * *", "2024-01-01T10:04:00+00:00"),
    ],
)
def test_next_is_the_first_later_moment_that_fits(expression: str, expected: str) -> None:
    """The fields are second, minute, hour, day, month and weekday; the second may be left out."""
    assert Schedule.parse(expression).next(MONDAY).isoformat() == expected


def test_day_of_month_and_weekday_must_both_fit() -> None:
    """The 13th counts only when it is a Friday, unlike in classic cron."""
    assert Schedule.parse("0 0 0 13 * 5").next(MONDAY).isoformat() == "2024-09-13T00:00:00+00:00"


def test_next_is_later_than_a_moment_that_fits() -> None:
    """An occurrence is not its own successor."""
    schedule = Schedule.parse("0 0 * * * *")
    first = schedule.next(MONDAY)
    assert schedule.next(first) == first + timedelta(hours=1)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "0 0 0 0 * * *",
        "60 * * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 * 13 *",
        "0 0 0 * * 7",
        "0 0 0 * * Noday",
        "0 1,,2 * * * *",
        "0 */x * * * *",
        "0 -1 * * * *",
        "0 ? * * * *",
        "00:05:00",
    ],
)
def test_what_is_not_ncrontab_is_refused(expression: str) -> None:
    """The message repeats the expression; a TimeSpan works on App Service plans only."""
    with pytest.raises(ScheduleError) as caught:
        Schedule.parse(expression)
    assert f"'{expression}'" in str(caught.value)


def test_a_day_that_never_comes_is_refused() -> None:
    """There is no 31st of February."""
    with pytest.raises(ScheduleError, match="never occurs"):
        Schedule.parse("0 0 0 31 2 *").next(MONDAY)


def test_only_schedules_faster_than_a_minute_are_subminute() -> None:
    """The host keeps no status for them."""
    fast = {text for text in ("*/10 * * * * *", "0 * * * * *", "*/10 0 * * * *") if Schedule.parse(text).is_subminute}
    assert fast == {"*/10 * * * * *"}


@given(
    seconds=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    offset=st.integers(0, 86400 * 400),
)
def test_next_equals_counting_seconds(seconds: set[int], minutes: set[int], offset: int) -> None:
    """From any start, stepping second by second gives the same moment."""
    start = MONDAY.replace(microsecond=0) + timedelta(seconds=offset)
    expected = start + timedelta(seconds=1)
    while expected.minute not in minutes or expected.second not in seconds:
        expected += timedelta(seconds=1)
    text = f"{','.join(map(str, seconds))} {','.join(map(str, minutes))} * * * *"
    assert Schedule.parse(text).next(start) == expected
