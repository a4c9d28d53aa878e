"""What an operator can do."""

import logging

from shared.accounts import Account
from shared.errors import Conflict
from shared.services import Services
from shared.sweep_queue import due_slots, queue_slots

logger = logging.getLogger(__name__)


def remove(account_id: str, app: Services, *, by: Account) -> bool:
    """Deletes somebody's row: their sessions end, nothing more is done in their name. False when there was none."""
    try:
        removed = app.store.delete(account_id)
    except Conflict:  # somebody else was faster
        removed = False
    logger.info("operator %s removed account %s: %s", by.account_id, account_id, removed)
    return removed


def sweep_now(app: Services, *, by: Account) -> int:
    """Asks for a sweep of every slot in which somebody is due, and doesn't wait for it. Gives their number."""
    due = due_slots(app.store, app.now())
    queue_slots(due, app.queues)
    logger.info("operator %s asked for a sweep of %s slots", by.account_id, len(due))
    return len(due)
