"""Counts all accounts, at most once per INTERVAL: Table Storage can't count, so each count is a scan."""

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import StoreError
from shared.store import AccountStore, Headcount

INTERVAL = timedelta(minutes=5)
_PATIENCE_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counted:
    """A count, and the time it was taken."""

    headcount: Headcount
    at: datetime


class Census:
    """Keeps the latest count of one store. Its own thread counts, so that no request waits long.

    Args:
        patience: seconds that a request waits for a count under way.
    """

    def __init__(self, store: AccountStore, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._store = store
        self._patience = patience
        self._lock = threading.Lock()
        self._counting: threading.Thread | None = None
        self._began: datetime | None = None
        self._latest: Counted | None = None
        self._failure: Exception | None = None

    def latest(self, now: datetime, overdue_before: datetime) -> Counted | None:
        """Starts a count when INTERVAL has passed. Gives the latest finished count; None while there is none."""
        with self._lock:
            if self._began is None or now - self._began >= INTERVAL:
                self._began = now
                self._counting = threading.Thread(target=self._count, args=(now, overdue_before), daemon=True)
                self._counting.start()
            counting = self._counting
        if counting:
            counting.join(self._patience)
        failure, self._failure = self._failure, None
        if failure:  # told here: what a thread of ours logs after its request has ended, the Functions host drops
            reason = str(failure) if isinstance(failure, StoreError) else type(failure).__name__
            logger.error("accounts could not be counted: %s", reason)
        return self._latest

    def _count(self, now: datetime, overdue_before: datetime) -> None:
        try:
            self._latest = Counted(self._store.count_accounts(overdue_before), now)
        except Exception as error:  # noqa: BLE001 - an error in a thread would be seen nowhere: `latest` tells it
            self._failure = error
            self._began = None
