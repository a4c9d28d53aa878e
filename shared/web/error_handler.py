"""Answers this app's errors, and logs each in one line. Browsers get a page with the button that helps most; other
clients get problem details (RFC 9457)."""

import functools
import logging
import math
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import azure.functions as func

from shared import telemetry
from shared.error_codes import explain
from shared.errors import (
    BearerRefused,
    GraphError,
    Misconfigured,
    NotSignedIn,
    RequestRefused,
    RowUnreadable,
    SettingsError,
    SignInRequired,
    StoreError,
    TokenError,
    UnderstudyError,
    Unreadable,
)
from shared.identity.sign_in_errors import OPERATOR_MUST_HELP
from shared.identity.sign_in_link import sealed_challenge, sign_in_path
from shared.services import services
from shared.session import Cookie
from shared.web import responses
from shared.web.error_pages import Advice, advice_for
from shared.web.limits import refuse_oversized
from shared.web.requests import cookies_of, path_of, wants_html

_TRY_AGAIN_SECONDS = 30
_LONGEST_CAUSE = 400
_CAN_COME_BACK = re.compile(r"/[a-z]+(/[a-z]+)*")

logger = logging.getLogger(__name__)

Handler = Callable[[func.HttpRequest], func.HttpResponse]


class _Failed(RequestRefused):
    """The request was good, but something behind it failed."""

    status = 500
    title = "This didn't work"


def handle_errors(handler: Handler) -> Handler:
    """Answers an UnderstudyError with a page or problem details; any other error passes. Refuses oversized requests."""

    @functools.wraps(handler)
    def answer(req: func.HttpRequest) -> func.HttpResponse:
        try:
            refuse_oversized(req)
            with telemetry.of_request(req.headers):
                return handler(req)
        except UnderstudyError as error:
            return answer_error(req, error)

    return answer


def answer_error(
    req: func.HttpRequest, error: UnderstudyError, *, cookies: Iterable[Cookie] = (), advice: Advice | None = None
) -> func.HttpResponse:
    """Answers an error, and logs it. A handler calls this itself when its answer needs more than the error.

    Args:
        cookies: what the answer sets or deletes.
        advice: the words, where the error's own don't tell the person enough.
    """
    refusal = refusal_of(error)
    reference = refusal.reference or secrets.token_hex(6)
    log = logger.error if refusal.status >= 500 else logger.info
    said = getattr(error, "diagnosis", "") if error is refusal else str(error)
    cause = f": {' '.join(said.split())[:_LONGEST_CAUSE]}" if said else ""
    log(
        "%s %s refused: %s %s%s (reference %s)",
        req.method,
        path_of(req),
        refusal.status,
        refusal.code,
        cause,
        reference,
    )
    headers = {}
    if refusal.status == 503:
        asked = getattr(error, "retry_after", None)  # how long the service behind us asked to wait
        headers["Retry-After"] = str(_TRY_AGAIN_SECONDS if asked is None else math.ceil(asked))
    if isinstance(refusal, BearerRefused):
        headers["WWW-Authenticate"] = refusal.challenge
    if wants_html(req):
        return _error_page(req, error, refusal, advice or advice_for(refusal), reference, headers, cookies)
    problem = {
        "type": "about:blank",
        "title": advice.title if advice else refusal.title,
        "status": refusal.status,
        "detail": advice.happened if advice else refusal.detail,
        "code": refusal.code,
        "reference": reference,
    }
    return responses.as_problem(problem, status=refusal.status, headers=headers, cookies=cookies)


def _error_page(
    req: func.HttpRequest,
    error: UnderstudyError,
    refusal: RequestRefused,
    advice: Advice,
    reference: str,
    headers: Mapping[str, str],
    cookies: Iterable[Cookie],
) -> func.HttpResponse:
    """The page of an error. For a person who must sign in, its button starts that sign-in and leads back here."""
    path = advice.path
    if refusal.status == 401:
        here = path_of(req)
        back = here if req.method == "GET" and _CAN_COME_BACK.fullmatch(here) else ""
        code, challenge = "", ""
        if isinstance(error, SignInRequired):
            app = services()
            session = app.sessions.read(cookies_of(req))
            owner = session.account_id if session else ""
            code = error.code
            challenge = sealed_challenge(error.claims, app.settings.key_ring, owner=owner, now=app.now())
        path = sign_in_path(code=code, challenge=challenge, next_path=back)
    return responses.page(
        "problem.html",
        status=refusal.status,
        headers=headers,
        cookies=cookies,
        problem=refusal,
        advice=advice,
        path=path,
        reference=reference,
    )


def refusal_of(error: UnderstudyError) -> RequestRefused:
    """The answer to an error, made by the nearest of its classes in _REFUSALS."""
    kind = next(each for each in type(error).__mro__ if each in _REFUSALS)
    return _REFUSALS[kind](error)


def _sign_in_required(error: SignInRequired) -> RequestRefused:
    meaning = explain(error.code)
    return NotSignedIn(
        f"{meaning.happened} {meaning.remedy}",
        code="sign_in_required",
        title="Please sign in again",
        reference=error.correlation_id,
    )


def _misconfigured(error: Misconfigured) -> RequestRefused:
    return _Failed(OPERATOR_MUST_HELP, code="misconfigured", reference=error.correlation_id)


def _graph_failed(error: GraphError) -> RequestRefused:
    code = f"graph_{error.status}"
    if 400 <= error.status < 500 and error.status != 429:
        detail = (
            "Microsoft Graph doesn't allow this app to do that. Trying again won't help: ask whoever runs this app."
        )
        return _Failed(detail, code=code, title="Microsoft Graph refused this", status=502)
    return _try_later(code)


def _try_later(code: str) -> RequestRefused:
    detail = "A service that this app needs isn't working properly. Nothing is lost; try again in a moment."
    return _Failed(detail, code=code, title="Please try again in a moment", status=503)


_REFUSALS: Mapping[type, Callable[[Any], RequestRefused]] = {
    RequestRefused: lambda error: error,
    SignInRequired: _sign_in_required,
    Misconfigured: _misconfigured,
    Unreadable: lambda _: _Failed(
        "Your stored sign-in can't be opened right now. Sign in again to renew it.", code="unreadable"
    ),
    TokenError: lambda _: _try_later("identity_provider"),
    StoreError: lambda _: _try_later("storage"),
    RowUnreadable: lambda _: NotSignedIn(
        "What is stored for you can't be read, so nothing is done in your name. Sign in again to renew it.",
        code="row_unreadable",
        title="Please sign in again",
    ),
    GraphError: _graph_failed,
    SettingsError: lambda error: _Failed(" ".join(error.problems), code="settings", title="This app is not set up yet"),
    UnderstudyError: lambda _: _Failed("Something went wrong.", code="failed"),
}
