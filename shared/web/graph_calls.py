"""Calls Graph, or a plain provider's userinfo, with a token of the person at this browser."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from shared.accounts import Account
from shared.clients.graph import Graph, answer_challenge
from shared.errors import GraphError
from shared.services import Services
from shared.session import Session

T = TypeVar("T")

logger = logging.getLogger(__name__)


def call_graph(
    account: Account, app: Services, question: Callable[[Graph], T], *, at_most: timedelta | None = None
) -> T:
    """Acquires a token, asks Graph, and answers a claims challenge once. Returns what `question` returns.

    Args:
        account: as it was read for this request.
        question: one call of Graph.
        at_most: how long Graph may take.

    Raises:
        GraphError, and whatever Access.token raises.
    """

    def ask(claims: str) -> T:
        known = (app.store.get(account.account_id) or account) if claims else account
        token = app.access.acquire_token(known, claims=claims)
        return question(app.graph(token, until=app.now() + at_most if at_most else None))

    return answer_challenge(ask)


def read_profile(
    session: Session, account: Account, app: Services, *, at_most: timedelta | None = None
) -> dict[str, Any]:
    """Who this person is, in Graph's words (shared/clients/graph.py, PROFILE_FIELDS).

    Without Graph, and while a plain OpenID provider's people can't reach it, by the id token of their sign-in and the
    provider's userinfo.

    Args:
        at_most: how long Graph may take.

    Raises:
        GraphError, and whatever Access.token raises.
    """
    plain = app.identity.authority.is_plain
    if app.settings.graph_url or not plain:
        try:
            return call_graph(account, app, Graph.me, at_most=at_most)
        except GraphError as error:
            if not plain or error.status:
                raise
            logger.warning("the profile comes from the sign-in: %s", error)
    told = app.identity.read_userinfo(app.access.acquire_token(account), subject=account.account_id)
    profile = {
        "displayName": told.get("name") or session.name,
        "givenName": told.get("given_name"),
        "mail": told.get("email"),
        "userPrincipalName": told.get("preferred_username") or account.username,
    }
    return {name: value for name, value in profile.items() if value}
