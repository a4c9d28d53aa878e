"""The slots show whether the timer runs."""

from datetime import UTC, datetime, timedelta

from shared.accounts import EPOCH, all_slots
from shared.monitoring.heartbeat import heartbeat
from shared.store import Slot, SweepRecord

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(minutes=5)


def slots(*minutes: int) -> list[Slot]:
    """Slots that are due in these numbers of minutes."""
    names = all_slots()
    return [Slot(names[index], NOW + timedelta(minutes=each), "etag") for index, each in enumerate(minutes)]


def test_slots_that_are_due_later_or_have_just_come_due_are_a_heartbeat() -> None:
    """One or two ticks late is fine."""
    assert heartbeat(slots(30, 0, -5, -15), [], NOW, TICK).state == "beating"


def test_one_slot_that_is_overdue_by_more_than_three_ticks_is_none() -> None:
    """The detail says by how much."""
    beat = heartbeat(slots(30, -16), [], NOW, TICK)
    assert (beat.state, beat.late) == ("missing", timedelta(minutes=16))


def test_claims_that_no_sweep_finishes_are_none() -> None:
    """A sweep that is killed each time renews its claim: that is no heartbeat. A sweep that still runs is one."""
    at_work, dying = NOW + timedelta(minutes=8), NOW - timedelta(minutes=20)
    assert heartbeat([Slot("00", at_work, "etag", at_work)], [], NOW, TICK).state == "beating"
    beat = heartbeat([Slot("00", at_work, "etag", dying)], [], NOW, TICK)
    assert (beat.state, beat.late) == ("missing", timedelta(minutes=20))


def test_slots_that_were_never_written_tell_nothing() -> None:
    """A new installation raises no alarm."""
    never = [Slot(name, EPOCH) for name in all_slots()]
    assert heartbeat(never, [], NOW, TICK).state == "waiting"
    assert heartbeat([*never[1:], *slots(30)], [], NOW, TICK).state == "beating"


def test_a_slot_stays_overdue_though_sweeps_come_by() -> None:
    """The latest sweep then says why. An earlier one says nothing."""
    latest = SweepRecord(started_at=NOW - timedelta(minutes=4), seconds=1, slots=1, stopped="misconfigured 7000222")
    beat = heartbeat(slots(30, -16), [latest], NOW, TICK)
    assert (beat.state, beat.stopped) == ("behind", "misconfigured 7000222")
    old = SweepRecord(started_at=NOW - timedelta(minutes=16), seconds=1, slots=1)
    assert heartbeat(slots(30, -16), [old], NOW, TICK).state == "missing"
