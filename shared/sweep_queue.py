"""Finds the slots that are due, and queues them for a sweep."""

from collections.abc import Sequence
from datetime import datetime

from shared.clients.queues import Queues
from shared.store import AccountStore, Slot

SWEEP_SLOTS = "sweep-slots"


def due_slots(store: AccountStore, now: datetime) -> list[Slot]:
    """The slots in which an account may be due, by one small read. Raises StoreUnavailable."""
    return [slot for slot in store.slots() if slot.next_due_at <= now]


def queue_slots(slots: Sequence[Slot], queues: Queues) -> None:
    """Sends one message per slot. A duplicate is harmless: the slot's claim decides. Raises StoreUnavailable."""
    for slot in slots:
        queues.send(SWEEP_SLOTS, slot.name)
