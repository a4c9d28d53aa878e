"""Saving the account of somebody who signed in, or in whose name the API was called: the row first, then the slot's
hint."""

from shared.accounts import Account, Source
from shared.errors import Conflict, StoreUnavailable
from shared.identity import SignedIn
from shared.services import Services

_RETRIES = 5


def remember(signed_in: SignedIn, app: Services) -> Account:
    """Saves what came of a sign-in; it replaces whatever was stored.

    Raises:
        StoreUnavailable, RowTooLarge.
    """
    for _ in range(_RETRIES):
        known = app.store.get(signed_in.person.account_id)
        try:
            return _saved(known, signed_in, Source.SIGN_IN, app)
        except Conflict:
            continue
    raise _kept_changing()


def remember_exchanged(signed_in: SignedIn, before: Account | None, app: Services) -> Account | None:
    """Saves what came of an on-behalf-of exchange, unless somebody else saved a newer token cache meanwhile.

    Args:
        before: the row as it was found without a usable token; None when there was none.

    Returns:
        The account as it is stored now. None when the row vanished meanwhile: nobody is brought back.

    Raises:
        StoreUnavailable, RowTooLarge.
    """
    known = before
    for _ in range(_RETRIES):
        try:
            return _saved(known, signed_in, Source.ON_BEHALF_OF, app)
        except Conflict:
            known = app.store.get(signed_in.person.account_id)
        if known is None or known.cache_version != (before.cache_version if before else 0):
            return known
    raise _kept_changing()


def _saved(known: Account | None, signed_in: SignedIn, source: Source, app: Services) -> Account:
    account = app.lifecycle.signed_in(
        known,
        signed_in.person,
        scopes=signed_in.scopes,
        sealed_cache=app.settings.key_ring.seal_cache(signed_in.token_cache, signed_in.person.account_id),
        token_expires_at=signed_in.expires_at,
        now=app.now(),
        source=source,
    )
    saved = app.store.save(account)
    app.store.lower_hint(saved.slot, saved.due_at)
    return saved


def _kept_changing() -> StoreUnavailable:
    return StoreUnavailable("save account after sign-in", 412, "the row kept changing")
