"""Reads the caller's profile from Microsoft Graph, and ends their background work."""

import logging
from typing import Any

from shared.accounts import Account
from shared.clients.graph import answer_challenge
from shared.errors import GraphError, SignInRequired
from shared.identity import Caller
from shared.services import Services
from web_api.interaction import interaction_refusal
from web_api.on_behalf_of import acquire_token

logger = logging.getLogger(__name__)


def read_profile(caller: Caller, app: Services) -> dict[str, Any]:
    """Reads the caller's profile, and enrols a caller who is new.

    Returns:
        `profile`: Graph's fields (PROFILE_FIELDS). `background`: the state of their background work.

    Raises:
        BearerRefused: only the person can help; the challenge says how.
        GraphError, Misconfigured, TryLater, StoreError.
    """

    def ask(claims: str) -> tuple[dict[str, Any], Account | None]:
        token, account = acquire_token(caller, app, claims=claims)
        return app.graph(token).me(), account

    try:
        profile, account = answer_challenge(ask)
    except SignInRequired as error:
        raise interaction_refusal(error, app.settings) from error
    except GraphError as error:
        if not error.claims:
            raise
        # Graph repeated its challenge to a renewed token: the person must sign in with these claims.
        required = SignInRequired("interaction_required", claims=error.claims)
        raise interaction_refusal(required, app.settings) from error
    return {"profile": profile, "background": _background(account)}


def withdraw(caller: Caller, app: Services) -> None:
    """Deletes the caller's row, and with it their tokens, sessions and background work. Raises StoreUnavailable."""
    if app.store.delete(caller.person.account_id):
        logger.info("a person withdrew by the API")


def _background(account: Account | None) -> dict[str, Any]:
    """The state of an account, as the API tells it; None is the account of somebody who withdrew."""
    if account is None:
        return {"state": "withdrawn"}
    swept = account.last_swept_at
    return {
        "state": account.state.value,
        "source": account.source.value,
        "lastSweptAt": swept.isoformat(timespec="seconds") if swept else None,
        "scopes": list(account.scopes),
    }
