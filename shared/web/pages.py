"""Pages for a signed-in person."""

import hashlib
from typing import Any

import azure.functions as func

from shared.accounts import Account
from shared.services import Services
from shared.session import Session
from shared.web import responses
from shared.web.requests import is_operator


def signed_in_page(
    template: str, session: Session, account: Account, app: Services, *, here: str, **context: Any
) -> func.HttpResponse:
    """A page with navigation, and a fresh session cookie when one is due.

    Args:
        here: the page's path, which the navigation marks.
        context: what the template needs besides.
    """
    # Browsers cache the photo: each person, and each generation of their sessions, has its own address for it.
    photo_of = hashlib.sha256(f"{session.account_id} {session.generation}".encode()).hexdigest()[:12]
    return responses.page(
        template,
        cookies=app.sessions.renew(session),
        session=session,
        here=here,
        is_operator=is_operator(session.roles, account.tenant_id, app),
        photo_of=photo_of,
        **context,
    )
