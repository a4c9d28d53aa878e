"""What an operator can do: remove an account, and request a sweep."""

import logging

from shared.accounts import Account
from shared.services import Services
from shared.store import OddRow
from shared.sweep_queue import due_slots, queue_slots

logger = logging.getLogger(__name__)


def remove_account(account_id: str, app: Services, *, by: Account) -> bool:
    """Deletes an account's row: its sessions end, and its background work stops.

    Returns:
        Was there a row to delete?

    Raises:
        StoreUnavailable.
    """
    removed = app.store.delete(account_id)
    logger.info("operator %s removed account %s: %s", by.account_id, account_id, removed)
    return removed


def remove_odd_row(row: OddRow, app: Services, *, by: Account) -> bool:
    """Deletes a row that can't be read, if it is still as the operator saw it.

    Returns:
        Was there a row to delete?

    Raises:
        Conflict: it changed since, and may be read now. StoreUnavailable.
    """
    removed = app.store.delete_odd(row)
    logger.info("operator %s removed the odd row %a: %s", by.account_id, f"{row.slot}/{row.key}", removed)
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
