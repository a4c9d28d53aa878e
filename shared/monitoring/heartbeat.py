"""Does the timer run, and do sweeps come to an end? Told by the slots: none that is looked after is overdue by more
than a few ticks; and where one is, by the latest sweep's record."""

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
        state: `waiting` when nothing was ever swept and nobody ever signed in; `behind` when a slot is overdue though
            sweeps come by: somebody can't be acted for, or there is more to do than is done.
        late: how far the most overdue slot is behind.
        stopped: why the latest sweep ended early, or "".
    """

    state: Literal["beating", "waiting", "behind", "missing"]
    late: timedelta = timedelta(0)
    stopped: str = ""


def heartbeat(slots: Sequence[Slot], sweeps: Sequence[SweepRecord], now: datetime, tick: timedelta) -> Heartbeat:
    """By the slots that were ever written: a sweep's claim, or a sign-in, writes one.

    Args:
        sweeps: the latest first; more than one are not looked at.
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
