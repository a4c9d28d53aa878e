"""What an operator can do."""

import logging

from shared.accounts import Account
from shared.clients.queues import SWEEP_SLOTS
from shared.errors import Conflict
from shared.services import Services

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
    """Puts the slots on the queue in which somebody is due, and doesn't wait for them. Gives their number."""
    now = app.now()
    due = [slot for slot in app.store.slots() if slot.next_due_at <= now]
    for slot in due:
        app.queues.send(SWEEP_SLOTS, slot.name)
    logger.info("operator %s asked for a sweep of %s slots", by.account_id, len(due))
    return len(due)
