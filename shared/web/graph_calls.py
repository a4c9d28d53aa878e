"""Graph calls with a token of the person who is here."""

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
    """The answer of Graph to `question`; a claims challenge is answered once.

    Args:
        account: as it was read for this request.
        at_most: how long Graph may take.

    Raises:
        GraphError, and what Access.token raises.
    """

    def ask(claims: str) -> T:
        known = (app.store.get(account.account_id) or account) if claims else account
        token = app.access.acquire_token(known, claims=claims)
        return question(app.graph(token, until=app.now() + at_most if at_most else None))

    return answer_challenge(ask)
