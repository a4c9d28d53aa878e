"""What the home page shows a signed-in person: their profile, and the state of their background work."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.accounts import Account, State
from shared.error_codes import EntraError, explain
from shared.errors import GraphError, SignInRequired, StoreError, TokenError
from shared.identity.sign_in_link import sealed_challenge, sign_in_path
from shared.services import Services
from shared.session import Session
from shared.web.graph_calls import read_profile

_MOST_GRAPH_TIME = timedelta(seconds=3)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Home:
    """The page's content.

    Attributes:
        profile: Graph's fields (shared/clients/graph.py, PROFILE_FIELDS); empty when Graph was not asked or failed.
        failure: what the last failure means; None when there was none.
        again: the path that starts the sign-in which this person needs.
        absent_from: when the person counts as away, unless they come back.
        every: the interval between two sweeps.
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
        """Does the next turn wait because the person is here?"""
        return self.absent_from >= self.account.due_at > self.now


def load_home(session: Session, account: Account, app: Services) -> Home:
    """Reads the person's profile and puts the page's content together.

    The page goes without the profile when Graph or the tenant fails, or takes longer than three seconds.

    Raises:
        StoreError: the account had to be read again, and couldn't be.
    """
    profile: dict[str, Any] = {}
    if account.state is State.ACTIVE:
        try:
            profile = read_profile(session, account, app, at_most=_MOST_GRAPH_TIME)
        except SignInRequired:  # and the account says so by now
            account = app.store.get(account.account_id) or account
        except (TokenError, GraphError, StoreError) as error:
            logger.info("home page without a profile: %s", error)
    code, claims = "", ""
    if account.failure:
        code = account.failure.code if account.is_set_aside else ""
        claims = account.failure.claims
    now, owner = app.now(), account.username or account.account_id
    challenge = sealed_challenge(claims, app.settings.key_ring, owner=owner, now=now)
    return Home(
        name=str(profile.get("displayName") or session.name or account.username or "you"),
        account=account,
        profile=profile,
        failure=explain(account.failure.code) if account.failure else None,
        again=sign_in_path(username=account.username, code=code, challenge=challenge),
        now=now,
        absent_after=app.settings.absent_after,
        absent_from=app.lifecycle.absent_from(account.last_activity),
        every=app.settings.sweep_every,
    )
