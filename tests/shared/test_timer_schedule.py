"""The longest gap between two ticks of a schedule."""

from datetime import timedelta

import pytest

from shared.monitoring.timer_schedule import longest_gap


@pytest.mark.parametrize(
    ("schedule", "gap"),
    [
        ("0 */5 * * * *", timedelta(minutes=5)),
        ("0 * * * * *", timedelta(minutes=1)),
        ("*/30 * * * * *", timedelta(seconds=30)),
        ("* * * * * *", timedelta(seconds=1)),
        ("0 0 * * * *", timedelta(hours=1)),
        ("0 7,22,52 * * * *", timedelta(minutes=30)),
        ("0 0 8-18/2 * * *", timedelta(hours=14)),
        ("0 30 6 * * *", timedelta(days=1)),
        ("0 0 9 * * 1-5", timedelta(days=3)),
        ("0 0 9 * * MON-FRI", timedelta(days=7)),
        ("0 0 9 1 * *", timedelta(days=31)),
        ("0 0 9 1 1 *", timedelta(days=366)),
        ("0 3/10 * * * *", timedelta(minutes=10)),
        ("%SOMETHING% * * * * *", timedelta(days=1)),
        ("0 99 * * * *", timedelta(days=1)),
        ("0 */5 * *", timedelta(days=1)),
    ],
)
def test_longest_gap_between_two_ticks(schedule: str, gap: timedelta) -> None:
    """Lists, ranges and steps; nights and weekends count; what can't be read is a day."""
    assert longest_gap(schedule) == gap
