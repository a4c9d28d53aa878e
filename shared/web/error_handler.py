"""This app's errors as answers: a page with the button that helps most for browsers, problem details for others, and
one line in the log."""

import functools
import logging
import math
import re
import secrets
from collections.abc import Callable, Mapping

import azure.functions as func

from shared import telemetry
from shared.accounts import Outcome
from shared.error_codes import explain
from shared.errors import (
    BearerRefused,
    GraphError,
    Misconfigured,
    NotSignedIn,
    RequestRefused,
    SettingsError,
    SignInRequired,
    StoreError,
    TryLater,
    UnderstudyError,
    Unreadable,
)
from shared.identity.sign_in_link import sealed_challenge, sign_in_path
from shared.services import services
from shared.web import responses
from shared.web.error_pages import advice_for
from shared.web.limits import refuse_oversized
from shared.web.requests import wants_html

_TRY_AGAIN_SECONDS = 30
_TOO_MANY = 429
_LONGEST_WHY = 200
_CAN_COME_BACK = re.compile(r"/[a-z]+(/[a-z]+)*")

logger = logging.getLogger(__name__)

Handler = Callable[[func.HttpRequest], func.HttpResponse]


def answered(handler: Handler) -> Handler:
    """Turns this app's errors into a page for browsers and into problem+json for others. Nothing else is caught."""

    @functools.wraps(handler)
    def answer(req: func.HttpRequest) -> func.HttpResponse:
        try:
            refuse_oversized(req)
            with telemetry.of_request(req.headers):
                return handler(req)
        except UnderstudyError as error:
            return _refusal(req, error)

    return answer


def _refusal(req: func.HttpRequest, error: UnderstudyError) -> func.HttpResponse:
    refused = _as_refused(error)
    reference = refused.reference or secrets.token_hex(6)
    log = logger.error if refused.status >= 500 else logger.info
    why = "" if error is refused else f": {' '.join(str(error).split())[:_LONGEST_WHY]}"
    log("%s %s refused: %s %s%s (reference %s)", req.method, _path(req), refused.status, refused.code, why, reference)
    headers = {"Retry-After": _seconds(error)} if refused.status == 503 else {}
    if isinstance(refused, BearerRefused):
        headers["WWW-Authenticate"] = refused.challenge
    if wants_html(req):
        return _problem_page(req, error, refused, reference, headers)
    problem = {
        "type": "about:blank",
        "title": refused.title,
        "status": refused.status,
        "detail": refused.detail,
        "code": refused.code,
        "reference": reference,
    }
    return responses.as_problem(problem, status=refused.status, headers=headers)


def _problem_page(
    req: func.HttpRequest, error: UnderstudyError, refused: RequestRefused, reference: str, headers: Mapping[str, str]
) -> func.HttpResponse:
    """With the button that helps most: for somebody who must sign in, the sign-in that leads back here."""
    advice = advice_for(refused)
    path = advice.path
    if refused.status == 401:
        here = _path(req)
        back = here if req.method == "GET" and _CAN_COME_BACK.fullmatch(here) else ""
        code, challenge = "", ""
        if isinstance(error, SignInRequired):
            code, challenge = error.code, sealed_challenge(error.claims, services().settings.key_ring)
        path = sign_in_path(code=code, challenge=challenge, next_path=back)
    return responses.page(
        "problem.html",
        status=refused.status,
        headers=headers,
        problem=refused,
        advice=advice,
        path=path,
        reference=reference,
    )


def _as_refused(error: UnderstudyError) -> RequestRefused:
    """What went wrong behind a request, as the person should hear it."""
    if isinstance(error, RequestRefused):
        return error
    if isinstance(error, SignInRequired):
        meaning = explain(error.code)
        return NotSignedIn(
            f"{meaning.happened} {meaning.remedy}",
            code="sign_in_required",
            title="Please sign in again",
            reference=error.correlation_id,
        )
    if isinstance(error, SettingsError):
        return _Failed(" ".join(error.problems), code="settings", title="This app is not set up yet")
    if isinstance(error, Misconfigured):
        meaning = explain(error.code, outcome=Outcome.MISCONFIGURED)
        return _Failed(f"{meaning.happened} {meaning.remedy}", code="misconfigured", reference=error.correlation_id)
    if isinstance(error, Unreadable):
        return _Failed("Your stored sign-in can't be opened at present. Sign in again to renew it.", code="unreadable")
    if isinstance(error, GraphError) and 400 <= error.status < 500 and error.status != _TOO_MANY:
        detail = "Microsoft Graph refuses this to the app. Trying again does not help: ask whoever runs this app."
        return _Failed(detail, code=_cause(error), title="Microsoft Graph said no", status=502)
    if isinstance(error, (TryLater, StoreError, GraphError)):
        detail = "A service this app needs does not answer as it should. Nothing is lost; try again in a moment."
        return _Failed(detail, code=_cause(error), title="Please try again in a moment", status=503)
    return _Failed("Something went wrong.", code="failed")


class _Failed(RequestRefused):
    """Not the request's fault."""

    status = 500
    title = "This didn't work"


def _seconds(error: UnderstudyError) -> str:
    """What the service behind us asked for, else half a minute."""
    asked = getattr(error, "retry_after", None)
    return str(_TRY_AGAIN_SECONDS if asked is None else math.ceil(asked))


def _cause(error: UnderstudyError) -> str:
    if isinstance(error, GraphError):
        return f"graph_{error.status}"
    return "identity_provider" if isinstance(error, TryLater) else "storage"


def _path(req: func.HttpRequest) -> str:
    """The path alone, for a query may hold a code; without urlsplit, which raises on a Host header such as "["."""
    host_and_path = str(req.url).partition("?")[0].partition("://")[2]
    return "/" + host_and_path.partition("/")[2][:100]
