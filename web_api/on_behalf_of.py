"""Acquires a Graph token for the caller: from what is stored, else in exchange for the caller's own token."""

from shared.accounts import Account
from shared.errors import NotSignedIn, RowUnreadable, SignInRequired, Unreadable
from shared.identity import Caller, SignedIn
from shared.services import Services


def acquire_token(caller: Caller, app: Services, *, claims: str = "") -> tuple[str, Account | None]:
    """Acquires an access token for Graph and saves what was learnt.

    An account that is set aside is not tried: the caller's own token may be newer than what is stored. A row that can't
    be read is replaced.

    Args:
        claims: a claims challenge of Graph, or "".

    Returns:
        The token, and the caller's account; None for the account when they withdrew meanwhile.

    Raises:
        SignInRequired: neither the stored sign-in nor the caller's token is good enough.
        Misconfigured, TryLater, StoreError, SignInFailed.
    """
    try:
        known = app.store.get(caller.person.account_id)
        if known is not None and not known.is_set_aside:
            try:
                return app.access.acquire_token(known, claims=claims), known
            except (SignInRequired, Unreadable, NotSignedIn):
                known = app.store.get(caller.person.account_id)  # it holds what was just learnt
                if known is None:  # they withdrew during this call: store nothing
                    return _exchange(caller, app, claims)[0], None
    except RowUnreadable:
        known = None  # what is saved now takes its place
    token, signed_in = _exchange(caller, app, claims)
    return token, app.enrolment.save_exchange(signed_in, known)


def _exchange(caller: Caller, app: Services, claims: str) -> tuple[str, SignedIn]:
    """Exchanges the caller's token. Returns a token for Graph, and what to store. Raises as `acquire_token` does."""
    exchanged = app.identity.exchange_token(caller.person, caller.token, claims=claims)
    if exchanged.signed_in is None:
        raise exchanged.acquired.error()
    return exchanged.acquired.access_token, exchanged.signed_in
