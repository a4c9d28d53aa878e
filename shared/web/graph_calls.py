"""Calls Graph with a token of the person at this browser."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from shared.accounts import Account
from shared.clients.graph import Graph, answer_challenge
from shared.services import Services

T = TypeVar("T")


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
