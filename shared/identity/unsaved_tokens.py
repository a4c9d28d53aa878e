"""Token caches with a redeemed refresh token that are not stored yet.

With strict rotation the stored refresh token is worthless once it was redeemed, and a second use of it revokes its
whole family (RFC 9700, 4.14.2). So this process keeps the new cache from the answer on until it is stored, goes on
trying for as long as it lives, and redeems the old token no more.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.accounts import Account
from shared.errors import Conflict, RowRefused, StoreError
from shared.store import AccountStore
from shared.store.merge import save_merged

_RETRY_SECONDS = 5.0  # whoever redeemed tries first

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Attributes:
    before: the account that the refresh token was redeemed from.
    after: the account to save.
    since: seconds of the clock.
    """

    before: Account
    after: Account
    since: float


class UnsavedTokens:
    """What this process has redeemed and not stored yet. A thread tries again every few seconds, for as long as
    something is kept.

    Args:
        enabled: keep anything? Where a refresh token works more than once, nothing is lost without it.
        clock: seconds that only grow.
        start_thread: starts the thread with a function that runs until `close`.
    """

    def __init__(
        self,
        store: AccountStore,
        *,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
        start_thread: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._store = store
        self._enabled = enabled
        self._clock = clock
        self._start_thread = start_thread or _start_thread
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._started = False
        self._closed = threading.Event()
        self._retrying = threading.Lock()

    @property
    def count(self) -> int:
        """How many people's tokens are kept."""
        return len(self._kept)

    def keep(self, before: Account, after: Account) -> None:
        """Keeps the token cache of `after`, if it is a new one, until `forget` or until it is saved from here.

        When `before` is itself kept, redeemed and not stored yet, the stored row is still the one before that.
        """
        if not self._enabled or after.cache_version == before.cache_version:
            return
        with self._lock:
            kept = self._kept.get(after.account_id)
            if kept and kept.after.sealed_cache == before.sealed_cache:
                before = kept.before
            self._kept[after.account_id] = _Kept(before, after, self._clock())
            starts, self._started = not self._started, True
        if starts:
            self._start_thread(self._run)

    def forget(self, account: Account) -> None:
        """Drops what is kept for this person, if it is this token cache: it is stored, or nobody needs it any more."""
        with self._lock:
            kept = self._kept.get(account.account_id)
            if kept and kept.after.sealed_cache == account.sealed_cache:
                del self._kept[account.account_id]

    def save_kept(self, account: Account) -> bool:
        """Saves what is kept for this person, and ends the lease of `account`. To be called by the lease's holder,
        before the refresh token of `account` is redeemed.

        Returns:
            False when nothing is kept: redeem. True when the row must be read again first.

        Raises:
            StoreError: the storage fails. The token must not be redeemed.
        """
        kept = self._kept.get(account.account_id)
        if kept is None:
            return False
        if account.cache_version != kept.before.cache_version:
            self.forget(kept.after)
            return False
        self._save(replace(kept, before=replace(kept.before, lease=account.lease)))
        return True

    def retry(self) -> None:
        """Tries once to save what was not stored soon. Ends at the first failure, and begins with another one then."""
        with self._retrying:
            for key, kept in list(self._kept.items()):
                if self._clock() - kept.since < _RETRY_SECONDS and not self._closed.is_set():
                    continue
                try:
                    self._save(kept)
                except StoreError as error:
                    logger.warning("%d redeemed tokens are not saved yet: %s", self.count, error)
                except Exception:  # the thread goes on with the others
                    logger.exception("a redeemed token could not be saved in an unexpected way")
                else:
                    continue
                with self._lock:
                    if self._kept.get(key) is kept:
                        self._kept[key] = self._kept.pop(key)
                return

    def close(self) -> None:
        """Ends the thread, and tries a last time."""
        self._closed.set()
        self.retry()

    def _save(self, kept: _Kept) -> None:
        try:
            save_merged(self._store, kept.after, before=kept.before)
        except Conflict:
            logger.info("a redeemed token is dropped: its row is gone or has another one")
        except RowRefused as error:
            logger.error("a redeemed token is lost: %s", error)
        else:
            logger.info("a redeemed token was saved after %.0f s", self._clock() - kept.since)
        self.forget(kept.after)

    def _run(self) -> None:
        while not self._closed.wait(_RETRY_SECONDS):
            self.retry()


def _start_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="unsaved-tokens", daemon=True).start()
