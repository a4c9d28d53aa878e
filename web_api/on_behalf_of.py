"""A token for Graph in the caller's name: the stored one when it is usable, else by exchange of the caller's own."""

from shared.accounts import Account
from shared.errors import NotSignedIn, SignInRequired, Unreadable
from shared.identity import Caller, SignedIn
from shared.services import Services


def token_for(caller: Caller, app: Services, *, claims: str = "") -> tuple[str, Account | None]:
    """An access token for Graph, and the caller's row; None when they withdrew meanwhile.

    Args:
        claims: a claims challenge of Graph.

    Raises:
        SignInRequired: neither what is stored nor what the caller sent is good enough.
        Misconfigured, TryLater, StoreError, SignInFailed.
    """
    known = app.store.get(caller.person.account_id)
    if known is not None and not known.is_set_aside:
        try:
            return app.access.acquire_token(known, claims=claims), known
        except (SignInRequired, Unreadable, NotSignedIn):
            known = app.store.get(caller.person.account_id)  # what was learnt has been written down
            if known is None:  # they withdrew while this call was on its way: nothing is stored again
                return _exchange(caller, app, claims)[0], None
    token, signed_in = _exchange(caller, app, claims)
    return token, app.enrolment.save_exchange(signed_in, known)


def _exchange(caller: Caller, app: Services, claims: str) -> tuple[str, SignedIn]:
    """A token for Graph in exchange for the caller's, and what to store. Raises what token_for raises."""
    exchanged = app.identity.exchange_token(caller.person, caller.token, claims=claims)
    if exchanged.signed_in is None:
        raise exchanged.acquired.error()
    return exchanged.acquired.access_token, exchanged.signed_in
