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
    """Sweeps that die each time claim the slot again: that is no heartbeat. A sweep that still runs is one."""
    slot = slots(-1)[0]
    at_work = slot.claim("one", NOW - timedelta(minutes=8)).renew("one", NOW)
    assert heartbeat([at_work], [], NOW, TICK).state == "beating"
    dying = slot.claim("one", NOW - timedelta(minutes=30)).claim("two", NOW - timedelta(minutes=1))
    beat = heartbeat([dying], [], NOW, TICK)
    assert (beat.state, beat.late) == ("missing", timedelta(minutes=20))


def test_a_sweep_that_left_people_behind_does_not_end_the_count() -> None:
    """Only one after which nobody is left who was due."""
    claimed = slots(-1)[0].claim("one", NOW - timedelta(minutes=30))
    later = NOW + timedelta(minutes=60)
    assert heartbeat([claimed.release(later, finished=False)], [], NOW, TICK).state == "missing"
    assert heartbeat([claimed.release(later, finished=True)], [], NOW, TICK).state == "beating"


def test_slots_that_were_never_written_tell_nothing() -> None:
    """A new installation raises no alarm."""
    never = [Slot(name, EPOCH) for name in all_slots()]
    assert heartbeat(never, [], NOW, TICK).state == "waiting"
    assert heartbeat([*never[1:], *slots(30)], [], NOW, TICK).state == "beating"


def swept(minutes: float, *, stopped: str = "", **counts: int) -> SweepRecord:
    """A sweep that ended so many minutes ago."""
    at = NOW - timedelta(minutes=minutes, seconds=1)
    return SweepRecord(started_at=at, seconds=1, slots=1, stopped=stopped, counts=counts)


def test_a_slot_stays_overdue_though_sweeps_reach_people() -> None:
    """Any of the latest sweeps may have: with the queue each slot has its own. The latest says why it stopped."""
    latest = [swept(4, stopped="time_limit", unavailable=1), swept(5, fresh=1)]
    beat = heartbeat(slots(30, -16), latest, NOW, TICK)
    assert (beat.state, beat.stopped) == ("behind", "time_limit")


def test_sweeps_that_reach_nobody_are_no_heartbeat() -> None:
    """However often they run. The latest says why."""
    for outcome in ("misconfigured", "unavailable", "throttled"):
        beat = heartbeat(slots(30, -16), [swept(4, stopped=f"{outcome} 1", **{outcome: 20})], NOW, TICK)
        assert (beat.state, beat.stopped) == ("missing", f"{outcome} 1")
    assert heartbeat(slots(30, -16), [swept(4)], NOW, TICK).state == "missing"


def test_a_record_of_long_ago_or_of_the_future_tells_nothing() -> None:
    """A clock that went back would hide for ever that sweeps are missing."""
    for minutes in (16, -16):
        beat = heartbeat(slots(30, -16), [swept(minutes, fresh=1, stopped="time_limit")], NOW, TICK)
        assert (beat.state, beat.stopped) == ("missing", "")


def test_a_long_sweep_counts_from_its_end() -> None:
    """It may take longer than three ticks of a timer that runs each minute."""
    record = SweepRecord(started_at=NOW - timedelta(minutes=8), seconds=7 * 60, slots=1, counts={"fresh": 1})
    assert heartbeat(slots(-4), [record], NOW, timedelta(minutes=1)).state == "behind"


def test_a_slot_whose_time_makes_no_sense_raises_no_alarm() -> None:
    """The next tick sweeps it. The others tell whether there is a next tick."""
    odd = Slot("00", EPOCH, "etag")
    assert heartbeat([odd], [], NOW, TICK).state == "beating"
    assert heartbeat([odd, *slots(-16)], [], NOW, TICK).state == "missing"
