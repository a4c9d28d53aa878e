"""Finds the slots that are due, and queues them for a sweep."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.clients.queues import Queues
from shared.store import AccountStore, Slot
from shared.store.slots import FARTHEST_HINT

SWEEP_SLOTS = "sweep-slots"


def due_slots(
    store: AccountStore,
    now: datetime,
    *,
    lease_now: datetime | None = None,
    sweep_every: timedelta = timedelta(0),
) -> list[Slot]:
    """The slots in which an account may be due and no sweep is at work, by one small read. Raises StoreUnavailable.

    Args:
        lease_now: the lease clock's time, when that is another than `now`.
        sweep_every: see `farthest_hint`.
    """
    farthest = farthest_hint(sweep_every)
    return [slot for slot in store.slots() if slot.is_due(now, lease_now or now, farthest=farthest)]


def farthest_hint(sweep_every: timedelta) -> timedelta:
    """A hint is written for `sweep_every` ahead at most. One that is farther ahead than this makes no sense, and its
    slot counts as due."""
    return 2 * max(sweep_every, FARTHEST_HINT / 2)


def queue_slots(slots: Sequence[Slot], queues: Queues) -> None:
    """Sends one message per slot. A duplicate is harmless: the slot's claim decides. Raises StoreUnavailable."""
    for slot in slots:
        queues.send(SWEEP_SLOTS, slot.name)
