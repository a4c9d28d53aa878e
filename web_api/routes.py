"""GET, DELETE and OPTIONS /api/profile."""

import azure.functions as func

from shared.services import services
from shared.web import responses
from shared.web.error_handler import handle_errors
from shared.web.requests import require_caller
from web_api import cors, profile

blueprint = func.Blueprint()


@blueprint.function_name("api_profile")
@blueprint.route("api/profile", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@cors.allow_listed_origins
@handle_errors
def read(req: func.HttpRequest) -> func.HttpResponse:
    """The caller's Graph profile, and the state of their background work."""
    app = services()
    return responses.as_json(profile.read_profile(require_caller(req, app), app))


@blueprint.function_name("api_profile_delete")
@blueprint.route("api/profile", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@cors.allow_listed_origins
@handle_errors
def delete(req: func.HttpRequest) -> func.HttpResponse:
    """Ends the caller's background work and all their sessions; 204 too when there was nothing to end."""
    app = services()
    profile.withdraw(require_caller(req, app), app)
    return responses.nothing()


@blueprint.function_name("api_profile_preflight")
@blueprint.route("api/profile", methods=["OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def preflight(req: func.HttpRequest) -> func.HttpResponse:
    """Answers a browser that asks whether a script of another origin may call."""
    return responses.nothing(headers=cors.preflight_headers(req, services()))
