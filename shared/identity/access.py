"""Access tokens for a person who is here, or whose client calls: acquire silently, save what changed.

Over all instances, only one request at a time redeems a person's refresh token: a request that needs a new token takes
the row's lease first. The others wait a moment, read the row again and find the fresh token.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.accounts import Account, Lease, Outcome, State, rebased
from shared.accounts.lifecycle import Lifecycle
from shared.errors import Conflict, NotSignedIn, RowTooLarge, SignInRequired, StoreUnavailable, TryLater
from shared.identity.confidential_client import Identity
from shared.identity.results import Acquired
from shared.identity.unsaved_tokens import UnsavedTokens
from shared.store import AccountStore

LEASE = timedelta(seconds=30)  # longer than one attempt at a token request takes: shared/clients/http.py
PATIENCE_SECONDS = (1, 2, 4)
_WAIT_SECONDS = 0.25
_MOST_WAITS = 60

logger = logging.getLogger(__name__)


class Access:
    """Access tokens for people on the browser and the API path.

    Args:
        now: the time.
        wait: sleeps for so many seconds.
        patience: waits in seconds before a failed save is tried again. Where a refresh token works only once, a new one
            that is not saved is lost.
        unsaved: keeps redeemed tokens until they are stored; None keeps nothing.
    """

    def __init__(
        self,
        store: AccountStore,
        identity: Identity,
        lifecycle: Lifecycle,
        *,
        now: Callable[[], datetime],
        wait: Callable[[float], None],
        patience: Sequence[float] = (),
        unsaved: UnsavedTokens | None = None,
    ) -> None:
        self._store = store
        self._identity = identity
        self._lifecycle = lifecycle
        self._now = now
        self._wait = wait
        self._patience = patience
        self._unsaved = UnsavedTokens(store, enabled=False) if unsaved is None else unsaved

    def acquire_token(self, account: Account, *, claims: str = "") -> str:
        """Acquires an access token for the scopes that this person granted, and saves what changed.

        Makes no storage call while the cached token is valid and the recorded activity is recent.

        Args:
            account: as it was read for this request.
            claims: the resource's claims challenge (JSON text). A cached token is not used then.

        Raises:
            SignInRequired, Misconfigured, Unreadable, TryLater: see errors.py.
            NotSignedIn: the row is gone.
            StoreUnavailable, RowTooLarge: what changed could not be saved.
        """
        if account.state is State.NEEDS_SIGN_IN:
            failure = account.failure
            if failure is None:
                raise SignInRequired("")
            raise SignInRequired(failure.code, correlation_id=failure.correlation_id, claims=failure.claims)
        version = account.cache_version
        for _ in range(_MOST_WAITS):
            acquisition = self._identity.acquisition(account, claims=claims)
            if acquisition.prepare() is None:
                return self._settle(account, acquisition.complete())
            leased = self._take_lease(account)
            if leased is not None and not self._unsaved.save_kept(leased):
                acquisition.send()
                return self._settle(leased, acquisition.complete())
            self._wait(_WAIT_SECONDS)
            account = self._read_again(account)
            if account.cache_version != version:
                claims = ""  # another caller has just redeemed: its token was issued after the challenge
        raise TryLater("busy")

    def _take_lease(self, account: Account) -> Account | None:
        """Writes our lease to the row. Returns None while somebody else holds one, or was faster."""
        now = self._now()
        if account.lease and account.lease.until > now:
            return None
        lease = Lease(secrets.token_hex(8), now + LEASE)
        try:
            return self._store.touch(replace(account, lease=lease))
        except Conflict:
            return None

    def _read_again(self, account: Account) -> Account:
        known = self._store.get(account.account_id)
        if known is None:
            raise NotSignedIn("You have been signed out. Sign in again.")
        return known

    def _settle(self, account: Account, acquired: Acquired) -> str:
        """Saves what the acquisition changed. Returns the access token, or raises why there is none."""
        now = self._now()
        after = replace(acquired.renewed(account), lease=None)
        if acquired.access_token:
            after = self._lifecycle.apply_verdict(after, acquired.verdict, now, swept=False)
            if acquired.sealed_cache is not None or account.state is not State.ACTIVE:
                self._save(account, self._lifecycle.note_presence(after, now))
            elif self._lifecycle.is_stale(account, now):
                self._touch(self._lifecycle.note_presence(after, now))
            return acquired.access_token
        if acquired.verdict.outcome is Outcome.SIGN_IN_REQUIRED:
            self._save(account, self._lifecycle.apply_verdict(after, acquired.verdict, now, swept=False))
            self._store.lower_hint(account.slot, now)  # the next sweep sends the notification
        elif account.lease:
            self._touch(after)
        raise acquired.error()

    def _save(self, before: Account, after: Account) -> None:
        """Saves the row. When it changed meanwhile, saves our changes on top, unless it has another token cache.

        Raises:
            NotSignedIn: the row is gone.
        """
        ours: Account | None = after
        while ours is not None:
            try:
                self._save_patiently(before, ours)
            except Conflict:
                ours = rebased(after, before=before, known=self._read_again(before))
            except RowTooLarge as error:
                if ours.sealed_cache == before.sealed_cache:
                    raise
                logger.error("an account keeps its old token cache: %s", error)
                after = ours = replace(ours, sealed_cache=before.sealed_cache, cache_version=before.cache_version)
            else:
                return
        logger.info("a newer token cache was saved meanwhile; ours is dropped")

    def _save_patiently(self, before: Account, account: Account) -> None:
        self._unsaved.keep(before, account)
        for seconds in (*self._patience, None):
            try:
                self._store.save(account)
            except StoreUnavailable:
                if seconds is None:
                    raise
                self._wait(seconds)
            else:
                self._unsaved.forget(account)
                return

    def _touch(self, account: Account) -> None:
        try:
            self._store.touch(account)
        except Conflict:
            logger.debug("activity not written: the row changed meanwhile")
