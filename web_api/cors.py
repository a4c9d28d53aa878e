"""Scripts of other origins (Fetch Standard, "CORS protocol"): only those in CORS_ORIGINS, and never with cookies."""

import functools

import azure.functions as func

from shared.errors import Forbidden, SettingsError
from shared.services import Services, services
from shared.web.error_handler import Handler

_PREFLIGHT_SECONDS = 600


def shared_with_listed(handler: Handler) -> Handler:
    """Lets scripts of the listed origins read the answer, also when it is a refusal: it says how to do better."""

    @functools.wraps(handler)
    def answer(req: func.HttpRequest) -> func.HttpResponse:
        response = handler(req)
        for name, value in _answer_headers(req).items():
            response.headers[name] = value
        return response

    return answer


def preflight_headers(req: func.HttpRequest, app: Services) -> dict[str, str]:
    """What a listed origin is told before it calls. Raises Forbidden for any other."""
    origin = _listed(req, app)
    if not origin:
        raise Forbidden("Scripts of this origin may not call this API.", code="origin_not_listed")
    return _shared_with(origin) | {
        "Access-Control-Allow-Methods": "GET, DELETE",
        "Access-Control-Allow-Headers": "Authorization",
        "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
    }


def _answer_headers(req: func.HttpRequest) -> dict[str, str]:
    try:
        app = services()
    except SettingsError:  # the answer says so; there is no list of origins to share it with
        return {}
    if not app.settings.cors_origins:
        return {}
    origin = _listed(req, app)
    if not origin:
        return {"Vary": "Origin"}
    return _shared_with(origin) | {"Access-Control-Expose-Headers": "WWW-Authenticate, Retry-After"}


def _shared_with(origin: str) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _listed(req: func.HttpRequest, app: Services) -> str:
    """The request's origin when it is in the list, else ""."""
    origin = req.headers.get("origin", "")
    return origin if origin in app.settings.cors_origins else ""
