"""An access token for a person who is here, or whose client calls: read, acquire silently, save what changed.

Redeeming a refresh token is single-flight across instances: whoever finds that a token request is needed takes the
row's lease first; the others wait a moment, read again and find the fresh token.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.accounts import Account, Lease, Outcome, State, Verdict, rebased
from shared.accounts.lifecycle import Lifecycle
from shared.errors import (
    Conflict,
    Misconfigured,
    NotSignedIn,
    RowTooLarge,
    SealError,
    SignInRequired,
    StoreUnavailable,
    TokenError,
    TryLater,
    Unreadable,
)
from shared.identity import Acquired, Identity, LeaseNeeded
from shared.sealing import KeyRing
from shared.store import AccountStore

LEASE = timedelta(seconds=30)  # longer than a token request may take: see transport.py
_WAIT_SECONDS = 0.25
_MOST_WAITS = 60
PATIENCE_SECONDS = (1, 2, 4)

logger = logging.getLogger(__name__)


def acquired(
    identity: Identity, keys: KeyRing, account: Account, *, claims: str = "", may_redeem: bool = True
) -> Acquired:
    """Opens the person's token cache and acquires silently. Raises LeaseNeeded when `may_redeem` is False and it must
    be redeemed."""
    try:
        cache = keys.open_cache(account.sealed_cache, account.account_id)
    except SealError as error:
        return Acquired(Verdict(Outcome.UNREADABLE, code=error.reason))
    return identity.acquire(account, cache, claims=claims, may_redeem=may_redeem)


def with_new_cache(account: Account, keys: KeyRing, result: Acquired) -> Account:
    """The account with the token cache that MSAL changed, sealed with the newest key."""
    if result.token_cache is None:
        return account
    sealed = keys.seal_cache(result.token_cache, account.account_id)
    return replace(account, sealed_cache=sealed, cache_version=account.cache_version + 1)


class Access:
    """Access tokens for people on the browser and the API path.

    Args:
        now, wait: see Services.
        patience: seconds after which a failed save is tried again: where a refresh token can be redeemed once only,
            an unsaved one is lost.
    """

    def __init__(
        self,
        store: AccountStore,
        identity: Identity,
        keys: KeyRing,
        lifecycle: Lifecycle,
        *,
        now: Callable[[], datetime],
        wait: Callable[[float], None],
        patience: Sequence[float] = (),
    ) -> None:
        self._store = store
        self._identity = identity
        self._keys = keys
        self._lifecycle = lifecycle
        self._now = now
        self._wait = wait
        self._patience = patience

    def token(self, account: Account, *, claims: str = "") -> str:
        """An access token for the scopes that this person granted.

        In the steady state it costs no storage call: the account was read by the caller, and nothing changed.

        Args:
            account: as it was read for this request.
            claims: a claims challenge of the resource: a cached token will not do.

        Raises:
            SignInRequired, Misconfigured, Unreadable, TryLater: see errors.py. NotSignedIn: the row is gone.
        """
        if account.state is State.NEEDS_SIGN_IN:
            raise _set_aside(account)
        version = account.cache_version
        for _ in range(_MOST_WAITS):
            try:
                result = acquired(self._identity, self._keys, account, claims=claims, may_redeem=False)
            except LeaseNeeded:
                leased = self._leased(account)
                if leased is not None:
                    result = acquired(self._identity, self._keys, leased, claims=claims)
                    return self._settled(leased, result)
            else:
                return self._settled(account, result)
            self._wait(_WAIT_SECONDS)
            account = self._again(account)
            if account.cache_version != version:
                claims = ""  # somebody has just redeemed: their token was issued after the challenge
        raise TryLater("busy")

    def _leased(self, account: Account) -> Account | None:
        """The account with our lease on it; None while somebody else holds one, or was faster."""
        now = self._now()
        if account.lease and account.lease.until > now:
            return None
        lease = Lease(secrets.token_hex(8), now + LEASE)
        try:
            return self._store.touch(replace(account, lease=lease))
        except Conflict:
            return None

    def _again(self, account: Account) -> Account:
        known = self._store.get(account.account_id)
        if known is None:
            raise NotSignedIn("You have been signed out. Sign in again.")
        return known

    def _settled(self, account: Account, result: Acquired) -> str:
        now = self._now()
        settled = replace(with_new_cache(account, self._keys, result), lease=None)
        if result.access_token:
            settled = self._lifecycle.judged(settled, result.verdict, now, swept=False)
            if result.token_cache is not None or account.state is not State.ACTIVE:
                self._save(account, self._lifecycle.present(settled, now))
            elif self._lifecycle.is_stale(account, now):
                self._touch(self._lifecycle.present(settled, now))
            return result.access_token
        if result.verdict.outcome is Outcome.SIGN_IN_REQUIRED:
            self._save(account, self._lifecycle.judged(settled, result.verdict, now, swept=False))
            self._store.lower_hint(account.slot, now)  # a sweep sends their notification
        elif account.lease:
            self._touch(settled)
        raise error_of(result)

    def _save(self, before: Account, after: Account) -> None:
        """Saves; when the row changed meanwhile, once more on top of it, unless it is gone or has another cache."""
        ours: Account | None = after
        while ours is not None:
            try:
                self._stored(ours)
            except Conflict:
                ours = rebased(after, before=before, known=self._again(before))
            except RowTooLarge as error:
                if ours.sealed_cache == before.sealed_cache:
                    raise
                logger.error("an account keeps its old token cache: %s", error)
                after = ours = replace(ours, sealed_cache=before.sealed_cache, cache_version=before.cache_version)
            else:
                return
        logger.info("a newer token cache was saved meanwhile; ours is dropped")

    def _stored(self, account: Account) -> Account:
        for seconds in self._patience:
            try:
                return self._store.save(account)
            except StoreUnavailable:
                self._wait(seconds)
        return self._store.save(account)

    def _touch(self, account: Account) -> None:
        try:
            self._store.touch(account)
        except Conflict:
            logger.debug("activity not written: the row changed meanwhile")


def _set_aside(account: Account) -> SignInRequired:
    failure = account.failure
    if failure is None:
        return SignInRequired("")
    return SignInRequired(failure.code, correlation_id=failure.correlation_id, claims=failure.claims)


def error_of(result: Acquired) -> TokenError:
    """Why there is no access token, to be raised."""
    verdict = result.verdict
    if verdict.outcome is Outcome.SIGN_IN_REQUIRED:
        return SignInRequired(verdict.code, correlation_id=verdict.correlation_id, claims=verdict.claims)
    if verdict.outcome is Outcome.MISCONFIGURED:
        return Misconfigured(verdict.code, correlation_id=verdict.correlation_id)
    if verdict.outcome is Outcome.UNREADABLE:
        return Unreadable(verdict.code)
    return TryLater(verdict.code, retry_after=verdict.retry_after)
