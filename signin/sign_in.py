"""Signing in and out: the steps between a request and the account store."""

import contextlib
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace

from shared.accounts import Account
from shared.errors import BadRequest, Conflict, Forbidden, SignInFailed
from shared.identity.sign_in_link import opened_challenge
from shared.services import Services
from shared.session import Cookie

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


def begin(query: Mapping[str, str], cookies: Mapping[str, str], app: Services) -> tuple[str, list[Cookie]]:
    """The authorize URL, and the cookies that remember this tab's flow. Writes nothing to storage.

    Raises:
        BadRequest: `next` or `prompt` is not allowed. TryLater, Misconfigured: the tenant gave no discovery document.
    """
    next_path = local_path(query.get("next", ""))
    prompt = query.get("prompt", "")
    if prompt not in _PROMPTS:
        raise BadRequest(f"prompt must be one of {', '.join(filter(None, _PROMPTS))}.")
    claims = opened_challenge(query.get("challenge", ""), app.settings.key_ring)
    url, flow = app.identity.begin_sign_in(login_hint=query.get("login_hint", "")[:200], prompt=prompt, claims=claims)
    return url, app.sessions.keep_flow(flow, next_path, cookies)


def finish(query: Mapping[str, str], cookies: Mapping[str, str], app: Services) -> tuple[str, list[Cookie]]:
    """Redeems the callback's code, saves the account and starts a session. Returns the path to go to, and the cookies.

    Raises:
        SignInFailed, Forbidden: nothing was stored. StoreError.
    """
    if any(len(value) > _LONGEST_PARAMETER for value in query.values()):
        raise SignInFailed("The identity provider's answer is too long. Start again.", code="oversized")
    state = query.get("state", "")
    found = app.sessions.read_flow(state, cookies) if state else None
    if found is None:
        detail = "This sign-in began in another browser, or more than ten minutes ago. Start again from the first page."
        raise SignInFailed(detail, code="unknown_flow")
    flow, next_path = found
    if "code" not in query and "error" not in query:
        raise SignInFailed("The identity provider sent neither a code nor an error. Start again.", code="empty_answer")
    signed_in = app.identity.finish_sign_in(flow, query)
    if not app.settings.admits(signed_in.person.tenant_id):
        raise Forbidden("Your organisation is not among those that may use this app.", code="tenant_not_allowed")
    account = app.enrolment.save_sign_in(signed_in)
    return next_path, [app.sessions.start(signed_in.person, account), app.sessions.drop_flow(state)]


def sign_out(account: Account, app: Services, *, keep_background_work: bool) -> None:
    """Ends every session of this person. Deletes their row too, unless they keep the background work.

    Raises:
        StoreError.
    """
    if not keep_background_work:
        with contextlib.suppress(Conflict):  # another tab was faster: the row is gone
            app.store.delete(account.account_id)
        return
    known: Account | None = account
    while known is not None:
        try:
            app.store.save(replace(known, session_generation=secrets.token_urlsafe(16)))
        except Conflict:
            known = app.store.get(account.account_id)
        else:
            return
