"""Does the timer run, and do sweeps finish? A slot that is overdue by more than a few ticks says no, unless the latest
sweep's record says otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.store import Slot, SweepRecord

PATIENCE = 3  # ticks


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Whether sweeps happen.

    Attributes:
        state: `beating` when no slot is overdue by more than PATIENCE ticks. `waiting` when nobody ever signed in and
            nothing was ever swept. `behind` when a slot is overdue although sweeps run: an account can't be acted for,
            or there is more to do than sweeps manage. `missing` when a slot is overdue and no sweep ran lately.
        late: how long the most overdue slot has been due.
        stopped: of a slot that is `behind`: why the latest sweep ended early, or "".
    """

    state: Literal["beating", "waiting", "behind", "missing"]
    late: timedelta = timedelta(0)
    stopped: str = ""


def heartbeat(slots: Sequence[Slot], sweeps: Sequence[SweepRecord], now: datetime, tick: timedelta) -> Heartbeat:
    """Judges by the slots that were ever written: a sign-in or a sweep's claim writes them.

    Args:
        sweeps: newest first; only the first is looked at.
        tick: the longest time between two runs of the timer.
    """
    known = [slot.overdue_from for slot in slots if slot.etag]
    if not known:
        return Heartbeat("waiting")
    late = max(now - min(known), timedelta(0))
    if late <= PATIENCE * tick:
        return Heartbeat("beating", late)
    if sweeps and now - sweeps[0].started_at <= PATIENCE * tick:
        return Heartbeat("behind", late, sweeps[0].stopped)
    return Heartbeat("missing", late)
