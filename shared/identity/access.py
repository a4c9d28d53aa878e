"""Access tokens for a person who is here, or whose client calls: acquire silently, save what changed.

Over all instances, only one request at a time redeems a person's refresh token: a request that needs a new token takes
the row's lease first, and ends it when the result is saved. Nobody ends a lease but its holder. The others wait a
moment, read the row again and find the fresh token.
"""

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate, repeat

from shared.accounts import REDEMPTION, REQUEST_LEASE, Account, Lease, Outcome, State, is_owned, rebased
from shared.accounts.lifecycle import Lifecycle
from shared.clock import LeaseClock
from shared.errors import Conflict, NotSignedIn, RowTooLarge, SignInRequired, StoreUnavailable, TryLater
from shared.identity.confidential_client import Identity
from shared.identity.results import Acquired
from shared.identity.unsaved_tokens import UnsavedTokens
from shared.store import AccountStore

PATIENCE_SECONDS = (1, 2, 4)
# Each wait is a quarter longer than the last, so that a token is found when it is hardly older than it took to redeem.
WAIT_SECONDS = tuple(accumulate(repeat(1.25, 19), lambda seconds, factor: seconds * factor, initial=0.05))

logger = logging.getLogger(__name__)


class _Flights:
    """The redemptions that are under way in this process, so that those who wait for one here learn at once of its
    end.

    Args:
        wait: sleeps for so many seconds.
    """

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._sleep = wait
        self._ends: dict[str, threading.Event] = {}

    @contextlib.contextmanager
    def under_way(self, account_id: str) -> Iterator[None]:
        """A person's redemption, until it is saved. There is one at a time: its holder has the row's lease."""
        end = self._ends[account_id] = threading.Event()
        try:
            yield
        finally:
            self._ends.pop(account_id, None)
            end.set()

    def wait(self, account_id: str, seconds: float) -> None:
        """Waits so many seconds, or until a person's redemption that is under way here has ended."""
        end = self._ends.get(account_id)
        if end is None:
            self._sleep(seconds)
        else:
            end.wait(seconds)


class Access:
    """Access tokens for people on the browser and the API path.

    Args:
        now: the time.
        lease_clock: the time by which leases are written and judged.
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
        lease_clock: LeaseClock,
        wait: Callable[[float], None],
        patience: Sequence[float] = (),
        unsaved: UnsavedTokens | None = None,
    ) -> None:
        self._store = store
        self._identity = identity
        self._lifecycle = lifecycle
        self._now = now
        self._lease_clock = lease_clock
        self._wait = wait
        self._patience = patience
        self._flights = _Flights(wait)
        self._unsaved = UnsavedTokens(store, enabled=False) if unsaved is None else unsaved

    def acquire_token(self, account: Account, *, claims: str = "", present: bool = True) -> str:
        """Acquires an access token for the scopes that this person granted, and saves what changed.

        Makes no storage call while the cached token is valid and the recorded activity is recent.

        Args:
            account: as it was read for this request; with claims, as it was read after the challenge.
            claims: the resource's claims challenge (JSON text). The token that `account` holds is not used then, but a
                newer one is, when another caller saves it while this one waits.
            present: is the person here? Their request is recorded then.

        Raises:
            SignInRequired, Misconfigured, Unreadable, TryLater: see errors.py.
            NotSignedIn: the row is gone.
            StoreUnavailable, RowTooLarge: what changed could not be saved.
        """
        version, owner = account.cache_version, secrets.token_hex(8)
        for seconds in WAIT_SECONDS:
            if account.state is State.NEEDS_SIGN_IN:
                failure = account.failure
                if failure is None:
                    raise SignInRequired("")
                raise SignInRequired(failure.code, correlation_id=failure.correlation_id, claims=failure.claims)
            acquisition = self._identity.acquisition(account, claims=claims)
            if acquisition.prepare() is None:
                return self._settle(account, acquisition.complete(), owner, present=present)
            leased = self._take_lease(account, owner)
            if leased is not None and not self._unsaved.save_kept(leased):
                with self._flights.under_way(account.account_id):
                    acquisition.send()
                    return self._settle(leased, acquisition.complete(), owner, present=present)
            if known := acquisition.still_good():
                return self._settle(leased or account, known, owner, present=present)
            self._flights.wait(account.account_id, seconds)
            account = self._read_again(account)
            if account.cache_version != version:
                claims = ""  # another caller has redeemed since the challenge, or was at it
        raise TryLater("busy")

    def _take_lease(self, account: Account, owner: str) -> Account | None:
        """Writes our lease to the row, and again when that took so long that the lease would not cover a token request.
        Returns None while somebody else holds one, or was faster."""
        while is_owned(account.lease, owner) or not (account.lease and account.lease.is_held(self._lease_clock)):
            lease = Lease(owner, self._lease_clock() + REQUEST_LEASE)
            try:
                account = self._store.touch(replace(account, lease=lease))
            except Conflict:
                return None
            if lease.covers(REDEMPTION, self._lease_clock):
                return account
            logger.warning("a lease was nearly over when it was written; it is written again")
        return None

    def _read_again(self, account: Account) -> Account:
        known = self._store.get(account.account_id)
        if known is None:
            raise NotSignedIn("You have been signed out. Sign in again.")
        return known

    def _settle(self, account: Account, acquired: Acquired, owner: str, *, present: bool) -> str:
        """Saves what the acquisition changed, and ends our lease, if the account has it. Returns the access token, or
        raises why there is none."""
        now = self._now()
        leased = is_owned(account.lease, owner)
        after = acquired.renewed(replace(account, lease=None) if leased else account)
        if acquired.access_token:
            after = self._lifecycle.apply_verdict(after, acquired.verdict, now, swept=False)
            seen = self._lifecycle.note_presence(after, now) if present else after
            if acquired.sealed_cache is not None or account.state is not State.ACTIVE:
                self._save(account, seen)
            elif leased or (present and self._lifecycle.is_stale(account, now)):
                self._touch(account, seen)
            return acquired.access_token
        if acquired.verdict.outcome is Outcome.SIGN_IN_REQUIRED:
            after = self._lifecycle.apply_verdict(after, acquired.verdict, now, swept=False)
            self._save(account, after, write=self._store.wake)  # the next sweep sends the notification
        elif leased:
            self._touch(account, after)
        raise acquired.error()

    def _save(self, before: Account, after: Account, *, write: Callable[[Account], Account] | None = None) -> None:
        """Saves the row. When it changed meanwhile, saves our changes on top, unless it has another token cache.

        Args:
            write: writes the row: `wake` when it is due earlier now.

        Raises:
            NotSignedIn: the row is gone.
        """
        ours: Account | None = after
        try:
            while ours is not None:
                try:
                    self._save_patiently(before, ours, write or self._store.save)
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
        finally:
            self._tell_when_late(before.lease, after.lease)

    def _tell_when_late(self, held: Lease | None, kept: Lease | None) -> None:
        """Logs that our lease ran out before its end was saved: somebody else may have redeemed meanwhile."""
        if held and held != kept and not held.covers(timedelta(0), self._lease_clock):
            over = (self._lease_clock.latest() - held.until).total_seconds()
            logger.warning("a lease was over for %.0f s before new tokens were saved", over)

    def _save_patiently(self, before: Account, account: Account, write: Callable[[Account], Account]) -> None:
        self._unsaved.keep(before, account)
        for seconds in (*self._patience, None):
            try:
                write(account)
            except StoreUnavailable:
                if seconds is None:
                    raise
                self._wait(seconds)
            else:
                self._unsaved.forget(account)
                return

    def _touch(self, before: Account, after: Account) -> None:
        """Writes activity and the end of our lease. When the row changed meanwhile, only the end of a lease is worth
        another try."""
        ours: Account | None = after
        while ours is not None:
            try:
                self._store.touch(ours)
                return
            except Conflict:
                if before.lease == after.lease:
                    logger.debug("activity not written: the row changed meanwhile")
                    return
                ours = rebased(after, before=before, known=self._store.get(before.account_id))
