"""Pages for somebody who is signed in."""

import hashlib
from typing import Any

import azure.functions as func

from shared.services import Services
from shared.session import Session
from shared.web import responses
from shared.web.requests import is_operator


def signed_in_page(template: str, session: Session, app: Services, *, here: str, **context: Any) -> func.HttpResponse:
    """A page with the frame that layout.html draws around it; the session's cookie is renewed when it is time.

    Args:
        here: the page's path, which the navigation marks.
    """
    # Browsers keep the photo a while: its address differs for each person and each set of sessions.
    photo_of = hashlib.sha256(f"{session.account_id} {session.generation}".encode()).hexdigest()[:12]
    return responses.page(
        template,
        cookies=app.sessions.renew(session),
        session=session,
        here=here,
        is_operator=is_operator(session, app),
        photo_of=photo_of,
        **context,
    )
