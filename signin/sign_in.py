"""Signing in and out: the steps between a request and the account store."""

import contextlib
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from shared.errors import BadRequest, Conflict, Forbidden, RowUnreadable, SignInFailed
from shared.identity.sign_in_link import opened_challenge
from shared.services import Services
from shared.session import Cookie, Session

_LOCAL_PATH = re.compile(r"/(?!/)[A-Za-z0-9_\-./?=&]{0,200}")
_PROMPTS = ("", "login", "consent", "select_account")
_LONGEST_PARAMETER = 4096

logger = logging.getLogger(__name__)


def local_path(text: str) -> str:
    """`text`, which must be a path of this app; "/" when it is empty. Raises BadRequest for any other place."""
    if not text:
        return "/"
    if not _LOCAL_PATH.fullmatch(text) or "//" in text:
        raise BadRequest("The page to go to must be a path of this app.", code="bad_next")
    return text


def comes_from_own_page(headers: Mapping[str, str], base_url: str) -> bool:
    """Did a page of this app lead here? False for another site's link, a mail's, a bookmark and a typed address.

    Sec-Fetch-Site says so, and no page can set it (W3C Fetch Metadata Request Headers). Chrome sends it since 76, Edge
    since 79, Firefox since 90 and Safari since 16.4, to https and to localhost (MDN, "Sec-Fetch-Site header", and its
    browser-compat-data). Other browsers send a Referer, which our Referrer-Policy keeps on our own links.

    Args:
        headers: names in lower case.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    ours = f"{urlsplit(base_url).scheme}://{urlsplit(base_url).netloc}/".lower()
    origin = headers.get("origin")
    came_from = f"{origin}/" if origin is not None else headers.get("referer", "")
    return came_from.lower().startswith(ours)


def begin(
    query: Mapping[str, str], cookies: Mapping[str, str], app: Services, *, from_own_page: bool
) -> tuple[str, list[Cookie]]:
    """The authorize URL, and the cookies that remember this tab's flow. Writes nothing to storage.

    A start from elsewhere asks the person something: with a live session at the tenant it would enrol them without a
    click, even right after they signed out. Entra lets them select the account, unless the link has another prompt. A
    plain OpenID provider gets `login`, whatever the link has: it is the only prompt that some know ("OAuth 2.0
    authorization code flow in Azure Active Directory B2C").

    Raises:
        BadRequest: `next` or `prompt` is not allowed. TryLater, Misconfigured: the tenant gave no discovery document.
    """
    next_path = local_path(query.get("next", ""))
    prompt = query.get("prompt", "")
    if prompt not in _PROMPTS:
        raise BadRequest(f"prompt must be one of {', '.join(filter(None, _PROMPTS))}.")
    if not from_own_page:
        prompt = "login" if app.settings.oidc_authority else prompt or "select_account"
    hint, session = query.get("login_hint", ""), app.sessions.read(cookies)
    owner = hint or (session.account_id if session else "")
    claims = opened_challenge(query.get("challenge", ""), app.settings.key_ring, owner=owner, now=app.now())
    # Entra refuses a hint beside select_account (MSAL.js, "Ignore account hints when prompt=select_account").
    login_hint = "" if prompt == "select_account" else hint[:200]
    url, flow = app.identity.begin_sign_in(login_hint=login_hint, prompt=prompt, claims=claims)
    return url, app.sessions.keep_flow(flow, next_path, cookies)


def take_flow(query: Mapping[str, str], cookies: Mapping[str, str], app: Services) -> tuple[dict[str, Any], str] | None:
    """The flow that came back, and the path to go to afterwards. From now on this process refuses the flow.

    None when this browser has no such flow, it is older than ten minutes, or it came back before.
    """
    state = query.get("state", "")
    found = app.sessions.read_flow(state, cookies) if state else None
    return found if found and app.used_flows.use(state, now=app.now()) else None


def finish(flow: Mapping[str, Any], query: Mapping[str, str], app: Services) -> Cookie:
    """Redeems the callback's code, saves the account and starts a session. Returns the session's cookie.

    Args:
        flow: from `take_flow`, which gives each out once: so there is one code request per flow.

    Raises:
        SignInFailed, Forbidden: nothing was stored. StoreError.
    """
    if any(len(value) > _LONGEST_PARAMETER for value in query.values()):
        raise SignInFailed("The identity provider's answer is too long. Start again.", code="oversized")
    if "code" not in query and "error" not in query:
        raise SignInFailed("The identity provider sent neither a code nor an error. Start again.", code="empty_answer")
    signed_in = app.identity.finish_sign_in(flow, query)
    if not app.settings.admits(signed_in.person.tenant_id):
        raise Forbidden("Your organisation is not among those that may use this app.", code="tenant_not_allowed")
    account = app.enrolment.save_sign_in(signed_in)
    return app.sessions.start(signed_in.person, account)


def sign_out(session: Session, app: Services, *, keep_background_work: bool) -> None:
    """Ends every session of this person. Deletes their row too, unless they keep the background work.

    A row that can't be read is deleted in either case: nothing is done for it, and nothing else ends the sessions.
    Does nothing for a session that has ended already.

    Each write names the ETag that was read, and the row is read again when that moved: so nothing that is held up on
    its way to the storage ends or deletes a later sign-in.

    Raises:
        StoreError: it may be done or not.
    """
    while True:
        try:
            known = app.store.get(session.account_id)
            if known is None or known.session_generation != session.generation:
                return
            if keep_background_work:
                app.store.save(replace(known, session_generation=secrets.token_urlsafe(16)))
            else:
                app.store.delete(known.account_id, etag=known.etag)
        except RowUnreadable as odd:
            logger.warning("a sign-out deletes what was stored: %s", odd)
            with contextlib.suppress(Conflict):
                app.store.delete(session.account_id, etag=odd.etag)
                return
        except Conflict:  # it changed since it was read
            continue
        else:
            return
