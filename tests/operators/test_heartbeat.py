"""Does the timer run? The slots tell."""

from datetime import UTC, datetime, timedelta

from shared.accounts import EPOCH, all_slots
from shared.heartbeat import heartbeat
from shared.store import Slot

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(minutes=5)


def slots(*minutes: int) -> list[Slot]:
    """Slots that are due in so many minutes."""
    names = all_slots()
    return [Slot(names[index], NOW + timedelta(minutes=each), "etag") for index, each in enumerate(minutes)]


def test_slots_that_are_due_later_or_have_just_come_due_are_a_heartbeat() -> None:
    """A tick or two late is nothing."""
    assert heartbeat(slots(30, 0, -5, -15), NOW, TICK).state == "beating"


def test_one_slot_that_is_overdue_by_more_than_three_ticks_is_none() -> None:
    """And it says by how much."""
    beat = heartbeat(slots(30, -16), NOW, TICK)
    assert (beat.state, beat.late) == ("missing", timedelta(minutes=16))


def test_slots_that_were_never_written_tell_nothing() -> None:
    """A new installation is no alarm."""
    never = [Slot(name, EPOCH) for name in all_slots()]
    assert heartbeat(never, NOW, TICK).state == "waiting"
    assert heartbeat([*never[1:], *slots(30)], NOW, TICK).state == "beating"
