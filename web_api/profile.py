"""The caller's profile from Microsoft Graph; and their withdrawal."""

import contextlib
import logging
from typing import Any

from shared.accounts import Account
from shared.clients.graph import answer_challenge
from shared.errors import Conflict, GraphError, SignInRequired
from shared.identity import Caller
from shared.services import Services
from web_api.interaction import interaction_refusal
from web_api.on_behalf_of import token_for

logger = logging.getLogger(__name__)


def of(caller: Caller, app: Services) -> dict[str, Any]:
    """`profile` as Graph gives it, and `background`: what is done for them while they are away.

    Raises:
        BearerRefused: only the person can help; the challenge says how.
        GraphError, Misconfigured, TryLater, StoreError.
    """

    def ask(claims: str) -> tuple[dict[str, Any], Account | None]:
        token, account = token_for(caller, app, claims=claims)
        return app.graph(token).me(), account

    try:
        profile, account = answer_challenge(ask)
    except SignInRequired as error:
        raise interaction_refusal(error, app.settings) from error
    except GraphError as error:
        if not error.claims:
            raise
        # Graph wants more than a renewed token can say: the person must sign in with these claims.
        required = SignInRequired("interaction_required", claims=error.claims)
        raise interaction_refusal(required, app.settings) from error
    return {"profile": profile, "background": _background(account)}


def withdraw(caller: Caller, app: Services) -> None:
    """Deletes the caller's row: no background work, no session, no token is left. Raises StoreUnavailable."""
    with contextlib.suppress(Conflict):  # another call of theirs was faster: it is gone
        if app.store.delete(caller.person.account_id):
            logger.info("a person withdrew by the API")


def _background(account: Account | None) -> dict[str, Any]:
    if account is None:
        return {"state": "withdrawn"}
    swept = account.last_swept_at
    return {
        "state": account.state.value,
        "source": account.source.value,
        "lastSweptAt": swept.isoformat(timespec="seconds") if swept else None,
        "scopes": list(account.scopes),
    }
