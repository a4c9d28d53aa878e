"""What the home page shows to somebody who is signed in: themselves, and what is done in their name."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.accounts import Account, State
from shared.clients.graph import Graph
from shared.error_codes import EntraError, explain
from shared.errors import GraphError, SignInRequired, StoreError, TokenError
from shared.identity.sign_in_link import sealed_challenge, sign_in_path
from shared.services import Services
from shared.session import Session
from shared.web.graph_calls import call_graph

_GRAPH_PATIENCE = timedelta(seconds=3)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Home:
    """The page's content.

    Attributes:
        profile: from Microsoft Graph; empty when it could not be asked.
        failure: what the last failure means, when there is one.
        absent_from: when the person counts as away.
        again: where the button leads that starts the right sign-in.
    """

    name: str
    account: Account
    profile: dict[str, Any]
    failure: EntraError | None
    again: str
    now: datetime
    absent_after: timedelta
    absent_from: datetime
    every: timedelta

    @property
    def is_waiting(self) -> bool:
        """Is the next turn put off for as long as the person is here?"""
        return self.absent_from >= self.account.due_at > self.now


def home(session: Session, account: Account, app: Services) -> Home:
    """What there is to show. A Graph or a tenant that does not answer takes nothing but the profile away."""
    profile, account = _profile(account, app)
    code = account.failure.code if account.failure else ""
    code = code if account.state is State.NEEDS_SIGN_IN else ""
    claims = account.failure.claims if account.failure else ""
    return Home(
        name=str(profile.get("displayName") or session.name or account.username or "you"),
        account=account,
        profile=profile,
        failure=explain(account.failure.code) if account.failure else None,
        again=sign_in_path(
            username=account.username, code=code, challenge=sealed_challenge(claims, app.settings.key_ring)
        ),
        now=app.now(),
        absent_after=app.settings.absent_after,
        absent_from=app.lifecycle.absent_from(account.last_activity),
        every=app.settings.sweep_every,
    )


def _profile(account: Account, app: Services) -> tuple[dict[str, Any], Account]:
    """The profile, and the account as it is after Graph was asked."""
    if account.state is not State.ACTIVE:
        return {}, account
    try:
        return call_graph(account, app, Graph.me, at_most=_GRAPH_PATIENCE), account
    except SignInRequired:
        return {}, app.store.get(account.account_id) or account
    except (TokenError, GraphError, StoreError) as error:
        logger.info("home page without a profile: %s", error)
        return {}, account
