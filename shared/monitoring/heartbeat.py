"""Does the timer run, and do sweeps reach people? A slot that is overdue by more than a few ticks says no, unless the
records of the latest sweeps say otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.accounts import EPOCH
from shared.store import Slot, SweepRecord

PATIENCE = 3  # ticks
RECORDS = 50  # of sweeps to look at: with the queue each slot has its own


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Whether people who are due are reached.

    Attributes:
        state: `beating` when no slot is overdue by more than PATIENCE ticks. `waiting` when nobody ever signed in and
            nothing was ever swept. `behind` when a slot is overdue although sweeps reach people: an account can't be
            acted for, or there is more to do than sweeps manage. `missing` when a slot is overdue and no sweep reached
            anybody lately: none ran, or none got through to a single person.
        late: how long the most overdue slot has been due.
        stopped: of a slot that is overdue: why the latest sweep of late ended early, or "".
    """

    state: Literal["beating", "waiting", "behind", "missing"]
    late: timedelta = timedelta(0)
    stopped: str = ""


def heartbeat(slots: Sequence[Slot], sweeps: Sequence[SweepRecord], now: datetime, tick: timedelta) -> Heartbeat:
    """Judges by the slots that were ever written: a sign-in or a sweep's claim writes them. A slot whose time makes no
    sense tells nothing: the next tick sweeps it.

    Args:
        sweeps: newest first. Those that ended lately count; one from the future is of a wrong clock, and does not.
        tick: the longest time between two runs of the timer.
    """
    if not any(slot.etag for slot in slots):
        return Heartbeat("waiting")
    overdue_from = min((slot.overdue_from for slot in slots if slot.etag and slot.next_due_at > EPOCH), default=now)
    late = max(now - overdue_from, timedelta(0))
    if late <= PATIENCE * tick:
        return Heartbeat("beating", late)
    lately = [each for each in sweeps if abs(now - each.ended_at) <= PATIENCE * tick]
    reached = any(each.reached for each in lately)
    return Heartbeat("behind" if reached else "missing", late, lately[0].stopped if lately else "")
