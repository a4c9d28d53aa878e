"""What an operator can do: remove an account, and request a sweep."""

import logging

from shared.accounts import Account
from shared.errors import Conflict
from shared.services import Services
from shared.sweep_queue import due_slots, queue_slots

logger = logging.getLogger(__name__)


def remove_account(account_id: str, app: Services, *, by: Account) -> bool:
    """Deletes an account's row: its sessions end, and its background work stops.

    Returns:
        Was there a row to delete?

    Raises:
        StoreUnavailable.
    """
    try:
        removed = app.store.delete(account_id)
    except Conflict:  # somebody else was faster
        removed = False
    logger.info("operator %s removed account %s: %s", by.account_id, account_id, removed)
    return removed


def request_sweep(app: Services, *, by: Account) -> int:
    """Queues every slot in which an account is due, and doesn't wait for the sweep. Returns how many slots.

    Raises:
        StoreUnavailable.
    """
    due = due_slots(app.store, app.now(), lease_now=app.lease_clock(), sweep_every=app.settings.sweep_every)
    queue_slots(due, app.queues)
    logger.info("operator %s asked for a sweep of %s slots", by.account_id, len(due))
    return len(due)
