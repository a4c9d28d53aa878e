"""Builds responses: pages, JSON, redirects, problem details (RFC 9457). All have the same security headers."""

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import azure.functions as func

from shared.session import Cookie
from shared.web.templating import initials_of, templates

_FOLDER = Path(__file__).parent
_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # no-referrer makes browsers send `Origin: null` with our own forms
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",  # browsers ignore it over http
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NO_STORE = {"Cache-Control": "no-store"}
# The next person in this browser sends another cookie, and so doesn't get the last person's picture.
_FOR_THIS_SESSION = {"Cache-Control": "private, max-age=300", "Vary": "Cookie"}
_FOR_EVERYBODY = {"Cache-Control": "public, max-age=3600"}


def page(
    template: str,
    *,
    status: int = 200,
    cookies: Iterable[Cookie] = (),
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> func.HttpResponse:
    """An HTML page. shared/web/templating.py says where templates are."""
    body = templates().get_template(template).render(**context)
    return _response(body, status=status, mimetype="text/html", cookies=cookies, headers=headers)


def as_json(content: Any, *, status: int = 200, cookies: Iterable[Cookie] = ()) -> func.HttpResponse:
    """A JSON document."""
    return _response(json.dumps(content), status=status, mimetype="application/json", cookies=cookies)


def as_problem(
    problem: Mapping[str, Any], *, status: int, headers: Mapping[str, str], cookies: Iterable[Cookie] = ()
) -> func.HttpResponse:
    """Problem details (RFC 9457)."""
    return _response(
        json.dumps(problem), status=status, mimetype="application/problem+json", cookies=cookies, headers=headers
    )


def as_csv(text: str, *, next_path: str = "") -> func.HttpResponse:
    """A CSV file to download. A Link header (RFC 8288) has the next page's address, unless `next_path` is ""."""
    headers = {"Content-Disposition": 'attachment; filename="accounts.csv"'}
    if next_path:
        headers["Link"] = f'<{next_path}>; rel="next"'
    return _response(text, mimetype="text/csv", headers=headers)


def image(content: bytes, media_type: str, *, cookies: Iterable[Cookie] = ()) -> func.HttpResponse:
    """A picture. Only types in which browsers run no script keep their media type."""
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
    """303 See Other: the browser goes to `url` with GET."""
    return _response("", status=303, cookies=cookies, headers={"Location": url})


def nothing(*, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """204 No Content."""
    return _response("", status=204, headers=headers)


def stylesheet() -> func.HttpResponse:
    """The stylesheet of all pages, the same for everybody."""
    return _response(_static("style.css"), mimetype="text/css", headers=_FOR_EVERYBODY)


def icon() -> func.HttpResponse:
    """The app's icon, for the browser's tab and the head of each page."""
    return _response(_static("icon.svg"), mimetype="image/svg+xml", headers=_FOR_EVERYBODY)


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
