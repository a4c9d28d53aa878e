"""Graph calls with a token of the person who is here; a claims challenge is answered once."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from shared.accounts import Account
from shared.clients.graph import Graph
from shared.errors import GraphError
from shared.services import Services

T = TypeVar("T")


def asked(account: Account, app: Services, question: Callable[[Graph], T], *, at_most: timedelta | None = None) -> T:
    """The answer of Graph to `question`.

    A 401 with a claims challenge (continuous access evaluation) forces a refresh with those claims: that answer
    decides.

    Args:
        at_most: how long Graph may take.

    Raises:
        GraphError, and what Access.token raises.
    """
    try:
        return question(_graph(app, app.access.token(account), at_most))
    except GraphError as error:
        if not error.claims:
            raise
        current = app.store.get(account.account_id) or account
        return question(_graph(app, app.access.token(current, claims=error.claims), at_most))


def _graph(app: Services, token: str, at_most: timedelta | None) -> Graph:
    return app.graph(token, until=app.now() + at_most if at_most else None)
