"""Scripts of other origins (Fetch Standard, "CORS protocol"): only those in CORS_ORIGINS, and never with cookies."""

import functools

import azure.functions as func

from shared.errors import Forbidden, SettingsError
from shared.services import Services, services
from shared.web.error_handler import Handler

_PREFLIGHT_SECONDS = 600


def allow_listed_origins(handler: Handler) -> Handler:
    """Adds the headers that let scripts of a listed origin read the answer. Errors get them too: they say what to do.

    Without CORS_ORIGINS nothing is added. With it, every answer says that it varies by origin, for caches.
    """

    @functools.wraps(handler)
    def answer(req: func.HttpRequest) -> func.HttpResponse:
        response = handler(req)
        try:
            app = services()
        except SettingsError:  # the answer says so; there is no list of origins
            return response
        if app.settings.cors_origins:
            response.headers["Vary"] = "Origin"
            origin = listed_origin(req, app)
            if origin:
                response.headers["Access-Control-Allow-Origin"] = origin
                response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, Retry-After"
        return response

    return answer


def preflight_headers(req: func.HttpRequest, app: Services) -> dict[str, str]:
    """The answer to a listed origin that asks before it calls. Raises Forbidden for any other origin."""
    origin = listed_origin(req, app)
    if not origin:
        raise Forbidden("Scripts of this origin may not call this API.", code="origin_not_listed")
    return {
        "Access-Control-Allow-Origin": origin,
        "Vary": "Origin",
        "Access-Control-Allow-Methods": "GET, DELETE",
        "Access-Control-Allow-Headers": "Authorization",
        "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
    }


def listed_origin(req: func.HttpRequest, app: Services) -> str:
    """The request's origin when CORS_ORIGINS has it, else ""."""
    origin = req.headers.get("origin", "")
    return origin if origin in app.settings.cors_origins else ""
