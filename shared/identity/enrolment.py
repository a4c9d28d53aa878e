"""Saves accounts after a sign-in or an on-behalf-of exchange: they are due when their person counts as
away."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from msal import SerializableTokenCache

from shared.accounts import Account, Source, State
from shared.accounts.lifecycle import Lifecycle
from shared.errors import Conflict, RowUnreadable, SealError, StoreUnavailable
from shared.identity import token_caches
from shared.identity.results import SignedIn
from shared.sealing import KeyRing
from shared.store import AccountStore

_TRIES = 5

logger = logging.getLogger(__name__)


class Enrolment:
    """Writes new and renewed accounts.

    Args:
        now: the time.
        plan: sets the times of the person's tasks.
    """

    def __init__(
        self,
        store: AccountStore,
        keys: KeyRing,
        lifecycle: Lifecycle,
        *,
        now: Callable[[], datetime],
        plan: Callable[[Account], Account] = lambda account: account,
    ) -> None:
        self._store = store
        self._keys = keys
        self._lifecycle = lifecycle
        self._now = now
        self._plan = plan

    def save_sign_in(self, signed_in: SignedIn) -> Account:
        """Saves the account of a person who signed in. A stored token cache is replaced, and a whole row that can't be
        read: their sessions end, and the tasks' state is lost with it.

        Raises:
            StoreUnavailable, RowTooLarge.
        """
        for _ in range(_TRIES):
            known, odd = self._read(signed_in.person.account_id)
            try:
                return self._save(known, signed_in, Source.SIGN_IN, instead_of=odd)
            except Conflict:
                continue
        raise _kept_changing()

    def find_lasting(self, account_id: str) -> Account | None:
        """The stored account of somebody who need not sign in again: it is active and has a refresh token. None when
        there is no such account.

        Raises:
            StoreUnavailable.
        """
        known, _ = self._read(account_id)
        if known is None or known.state is not State.ACTIVE:
            return None
        cache = SerializableTokenCache()
        try:
            token_caches.deserialize(cache, self._keys.open_cache(known.sealed_cache, account_id))
        except (SealError, ValueError):
            return None
        return known if token_caches.has_refresh_token(cache) else None

    def save_exchange(self, signed_in: SignedIn, before: Account | None) -> Account | None:
        """Saves the account after an on-behalf-of exchange, unless the row got a newer token cache meanwhile.

        Args:
            before: the row as it was read before the exchange; None when there was none, or one that can't be read,
                which is replaced.

        Returns:
            The account as it is stored now. None when the row vanished meanwhile: it is not written again.

        Raises:
            StoreUnavailable, RowTooLarge.
        """
        known, odd = before, None
        for _ in range(_TRIES):
            try:
                return self._save(known, signed_in, Source.ON_BEHALF_OF, instead_of=odd)
            except Conflict:
                known, odd = self._read(signed_in.person.account_id)
            if odd is None and (known is None or known.cache_version != (before.cache_version if before else 0)):
                return known
        raise _kept_changing()

    def _read(self, account_id: str) -> tuple[Account | None, RowUnreadable | None]:
        """The stored account, or what is there that can't be read."""
        try:
            return self._store.get(account_id), None
        except RowUnreadable as error:
            return None, error

    def _save(
        self, known: Account | None, signed_in: SignedIn, source: Source, *, instead_of: RowUnreadable | None = None
    ) -> Account:
        account = self._lifecycle.enrol(
            known,
            signed_in.person,
            scopes=signed_in.scopes,
            sealed_cache=self._keys.seal_cache(signed_in.token_cache, signed_in.person.account_id),
            token_expires_at=signed_in.expires_at,
            now=self._now(),
            source=source,
        )
        if instead_of is not None:
            logger.warning("a sign-in replaces what was stored: %s", instead_of)
            account = replace(account, etag=instead_of.etag)
        return self._store.wake(self._plan(account))


def _kept_changing() -> StoreUnavailable:
    return StoreUnavailable("save account after sign-in", 412, "the row kept changing")
