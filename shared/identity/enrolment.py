"""Saves accounts after a sign-in or an on-behalf-of exchange: the row first, then the slot's hint."""

from collections.abc import Callable
from datetime import datetime

from shared.accounts import Account, Source
from shared.accounts.lifecycle import Lifecycle
from shared.errors import Conflict, StoreUnavailable
from shared.identity.results import SignedIn
from shared.sealing import KeyRing
from shared.store import AccountStore

_TRIES = 5


class Enrolment:
    """Writes new and renewed accounts.

    Args:
        now: the time.
    """

    def __init__(
        self, store: AccountStore, keys: KeyRing, lifecycle: Lifecycle, *, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._keys = keys
        self._lifecycle = lifecycle
        self._now = now

    def save_sign_in(self, signed_in: SignedIn) -> Account:
        """Saves the account of a person who signed in. A stored token cache is replaced.

        Raises:
            StoreUnavailable, RowTooLarge.
        """
        for _ in range(_TRIES):
            known = self._store.get(signed_in.person.account_id)
            try:
                return self._save(known, signed_in, Source.SIGN_IN)
            except Conflict:
                continue
        raise _kept_changing()

    def save_exchange(self, signed_in: SignedIn, before: Account | None) -> Account | None:
        """Saves the account after an on-behalf-of exchange, unless the row got a newer token cache meanwhile.

        Args:
            before: the row as it was read before the exchange; None when there was none.

        Returns:
            The account as it is stored now. None when the row vanished meanwhile: it is not written again.

        Raises:
            StoreUnavailable, RowTooLarge.
        """
        known = before
        for _ in range(_TRIES):
            try:
                return self._save(known, signed_in, Source.ON_BEHALF_OF)
            except Conflict:
                known = self._store.get(signed_in.person.account_id)
            if known is None or known.cache_version != (before.cache_version if before else 0):
                return known
        raise _kept_changing()

    def _save(self, known: Account | None, signed_in: SignedIn, source: Source) -> Account:
        account = self._lifecycle.enrol(
            known,
            signed_in.person,
            scopes=signed_in.scopes,
            sealed_cache=self._keys.seal_cache(signed_in.token_cache, signed_in.person.account_id),
            token_expires_at=signed_in.expires_at,
            now=self._now(),
            source=source,
        )
        saved = self._store.save(account)
        self._store.lower_hint(saved.slot, saved.due_at)
        return saved


def _kept_changing() -> StoreUnavailable:
    return StoreUnavailable("save account after sign-in", 412, "the row kept changing")
