"""Pages, JSON, redirects and problem details (RFC 9457), all with the same security headers; and errors as one of
them."""

import functools
import json
import logging
import math
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import azure.functions as func

from shared import telemetry
from shared.entra_errors import explain
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
from shared.limits import refuse_oversized
from shared.problems import advice_for
from shared.services import services
from shared.session import Cookie
from shared.sign_in_again import sealed_challenge, sign_in_path
from shared.templating import initials_of, templates

_FOLDER = Path(__file__).parent
_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # no-referrer makes browsers send `Origin: null` with our own forms
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",  # over http browsers pass over it
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NO_STORE = {"Cache-Control": "no-store"}
# Whoever signs in next in this browser sends another cookie, and doesn't get the last person's picture.
_FOR_THIS_SESSION = {"Cache-Control": "private, max-age=300", "Vary": "Cookie"}
_FOR_EVERYBODY = {"Cache-Control": "public, max-age=3600"}
_TRY_AGAIN_SECONDS = 30
_TOO_MANY = 429
_LONGEST_WHY = 200
_CAN_COME_BACK = re.compile(r"/[a-z]+(/[a-z]+)*")

logger = logging.getLogger(__name__)

Handler = Callable[[func.HttpRequest], func.HttpResponse]


def page(
    template: str,
    *,
    status: int = 200,
    cookies: Iterable[Cookie] = (),
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> func.HttpResponse:
    """An HTML page from shared/templates."""
    body = templates().get_template(template).render(**context)
    return _response(body, status=status, mimetype="text/html", cookies=cookies, headers=headers)


def as_json(content: Any, *, status: int = 200, cookies: Iterable[Cookie] = ()) -> func.HttpResponse:
    """A JSON document."""
    return _response(json.dumps(content), status=status, mimetype="application/json", cookies=cookies)


def as_csv(text: str, *, next_path: str = "") -> func.HttpResponse:
    """A table for spreadsheets and scripts; where it goes on, in a Link header (RFC 8288)."""
    headers = {"Content-Disposition": 'attachment; filename="accounts.csv"'}
    if next_path:
        headers["Link"] = f'<{next_path}>; rel="next"'
    return _response(text, mimetype="text/csv", headers=headers)


def image(content: bytes, media_type: str, *, cookies: Iterable[Cookie] = ()) -> func.HttpResponse:
    """A picture; only types that browsers don't run anything in."""
    allowed = (
        media_type
        if media_type in ("image/jpeg", "image/png", "image/gif", "image/webp")
        else "application/octet-stream"
    )
    return _response(content, mimetype=allowed, cookies=cookies, headers=_FOR_THIS_SESSION)


def initials(name: str) -> func.HttpResponse:
    """A picture for somebody without a photo."""
    body = templates().get_template("initials.svg").render(initials=initials_of(name))
    return _response(body, mimetype="image/svg+xml")


def redirect(url: str, *, cookies: Iterable[Cookie] = ()) -> func.HttpResponse:
    """303 See Other: the browser comes with GET."""
    return _response("", status=303, cookies=cookies, headers={"Location": url})


def nothing(*, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """204 No Content."""
    return _response("", status=204, headers=headers)


def stylesheet() -> func.HttpResponse:
    """The one stylesheet; the same for everybody."""
    return _response(_static("style.css"), mimetype="text/css", headers=_FOR_EVERYBODY)


def icon() -> func.HttpResponse:
    """The app's sign, for the tab and the pages' head."""
    return _response(_static("icon.svg"), mimetype="image/svg+xml", headers=_FOR_EVERYBODY)


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


def wants_html(req: func.HttpRequest) -> bool:
    """Is a browser navigating here?"""
    return "text/html" in req.headers.get("accept", "")


def wants_picture(req: func.HttpRequest) -> bool:
    """Does an <img> of a page ask? It can show nothing but pictures."""
    return str(req.headers.get("accept", "")).startswith("image/")


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
    return _response(json.dumps(problem), status=refused.status, mimetype="application/problem+json", headers=headers)


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
    return page(
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
        meaning = explain(error.code)
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


def _response(
    body: str | bytes,
    *,
    status: int = 200,
    mimetype: str = "text/plain",
    cookies: Iterable[Cookie] = (),
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    encoded = body.encode("utf-8", errors="replace") if isinstance(body, str) else body
    response = func.HttpResponse(
        encoded, status_code=status, mimetype=mimetype, headers={**_SECURITY_HEADERS, **_NO_STORE, **(headers or {})}
    )
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie.header())
    return response


@functools.cache
def _static(name: str) -> str:
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")
