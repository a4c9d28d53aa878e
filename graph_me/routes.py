"""GET /me and /me/photo."""

import azure.functions as func

from shared.clients.graph import Graph
from shared.errors import GraphError, TokenError
from shared.services import services
from shared.web import responses
from shared.web.error_handler import handle_errors
from shared.web.graph_calls import call_graph, read_profile
from shared.web.pages import signed_in_page
from shared.web.requests import require_session, wants_html, wants_picture

blueprint = func.Blueprint()


@blueprint.function_name("me")
@blueprint.route("me", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def me(req: func.HttpRequest) -> func.HttpResponse:
    """The person's profile, from Graph if there is one: a page for browsers, JSON for other clients."""
    app = services()
    session, account = require_session(req, app)
    profile = read_profile(session, account, app)
    if wants_html(req):
        return signed_in_page(
            "graph_me/me.html", session, account, app, here="/me", profile=profile, of_graph=app.settings.graph_url
        )
    return responses.as_json(profile, cookies=app.sessions.renew(session))


@blueprint.function_name("me_photo")
@blueprint.route("me/photo", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def photo(req: func.HttpRequest) -> func.HttpResponse:
    """The person's photo. Without one, an <img> gets their initials and other clients get 404."""
    app = services()
    session, account = require_session(req, app)
    found = None
    try:
        if app.settings.graph_url:
            found = call_graph(account, app, Graph.photo)
    except (TokenError, GraphError):
        if not wants_picture(req):
            raise
    if found:
        return responses.image(*found)
    if wants_picture(req):
        return responses.initials(session.name or account.username)
    return responses.as_json({"detail": "You have no photo."}, status=404)
