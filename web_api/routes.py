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
@cors.shared_with_listed
@handle_errors
def read(req: func.HttpRequest) -> func.HttpResponse:
    """The caller's Graph profile, and how their background work stands."""
    app = services()
    return responses.as_json(profile.of(require_caller(req, app), app))


@blueprint.function_name("api_profile_delete")
@blueprint.route("api/profile", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@cors.shared_with_listed
@handle_errors
def delete(req: func.HttpRequest) -> func.HttpResponse:
    """Ends the caller's background work and every session of theirs. The same answer when there was nothing to end."""
    app = services()
    profile.withdraw(require_caller(req, app), app)
    return responses.nothing()


@blueprint.function_name("api_profile_preflight")
@blueprint.route("api/profile", methods=["OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def preflight(req: func.HttpRequest) -> func.HttpResponse:
    """A browser asks for a script of another origin whether it may call."""
    return responses.nothing(headers=cors.preflight_headers(req, services()))
