"""GET /me and /me/photo."""

import azure.functions as func

from shared.clients.graph import Graph
from shared.errors import GraphError, TokenError
from shared.services import services
from shared.web import responses
from shared.web.error_handler import handle_errors
from shared.web.graph_calls import call_graph
from shared.web.pages import signed_in_page
from shared.web.requests import require_session, wants_html, wants_picture

blueprint = func.Blueprint()


@blueprint.function_name("me")
@blueprint.route("me", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def me(req: func.HttpRequest) -> func.HttpResponse:
    """The person's Graph profile: a page for browsers, JSON for other clients."""
    app = services()
    session, account = require_session(req, app)
    profile = call_graph(account, app, Graph.me)
    if wants_html(req):
        return signed_in_page("graph_me/me.html", session, account, app, here="/me", profile=profile)
    return responses.as_json(profile, cookies=app.sessions.renew(session))


@blueprint.function_name("me_photo")
@blueprint.route("me/photo", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def photo(req: func.HttpRequest) -> func.HttpResponse:
    """The person's photo. Without one, an <img> gets their initials and other clients get 404."""
    app = services()
    session, account = require_session(req, app)
    try:
        found = call_graph(account, app, Graph.photo)
    except (TokenError, GraphError):
        if not wants_picture(req):
            raise
        found = None
    if found:
        return responses.image(*found)
    if wants_picture(req):
        return responses.initials(session.name or account.username)
    return responses.as_json({"detail": "You have no photo."}, status=404)
