"""Does the timer run? Told by the slots alone: no slot that is looked after is overdue by more than a few ticks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.store import Slot

PATIENCE = 3  # ticks


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Whether sweeps happen.

    Attributes:
        state: `waiting` when nothing was ever swept and nobody ever signed in.
        late: how far the most overdue slot is behind.
    """

    state: Literal["beating", "waiting", "missing"]
    late: timedelta = timedelta(0)


def heartbeat(slots: Sequence[Slot], now: datetime, tick: timedelta) -> Heartbeat:
    """By the slots that were ever written: a sweep's claim, or a sign-in, writes one."""
    known = [slot.next_due_at for slot in slots if slot.etag]
    if not known:
        return Heartbeat("waiting")
    late = max(now - min(known), timedelta(0))
    return Heartbeat("missing" if late > PATIENCE * tick else "beating", late)
