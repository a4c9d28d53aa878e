"""GET /, /style.css, /icon.svg, /signin, /signin/callback; POST /signout."""

import azure.functions as func

from shared.services import services
from shared.web import responses
from shared.web.error_handler import handle_errors
from shared.web.pages import signed_in_page
from shared.web.requests import cookies_of, form_of, query_of, refuse_other_sites, session_of
from signin import sign_in
from signin.home import load_home

blueprint = func.Blueprint()


@blueprint.function_name("home")
@blueprint.route("{ignored:maxlength(0)?}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def home(req: func.HttpRequest) -> func.HttpResponse:
    """What this app does for people; for somebody signed in, what it did in their name."""
    app = services()
    found = session_of(req, app)
    if found is None:
        return responses.page("signin/welcome.html", scopes=app.settings.scopes, every=app.settings.sweep_every)
    session, account = found
    return signed_in_page("signin/home.html", session, account, app, here="/", home=load_home(session, account, app))


@blueprint.function_name("style")
@blueprint.route("style.css", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def style(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the worker passes it by name
    """The stylesheet of all pages."""
    return responses.stylesheet()


@blueprint.function_name("icon")
@blueprint.route("icon.svg", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def icon(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the worker passes it by name
    """The app's icon."""
    return responses.icon()


@blueprint.function_name("signin")
@blueprint.route("signin", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def begin(req: func.HttpRequest) -> func.HttpResponse:
    """Sends the browser to the tenant's sign-in page."""
    url, cookies = sign_in.begin(query_of(req), cookies_of(req), services())
    return responses.redirect(url, cookies=cookies)


@blueprint.function_name("signin_callback")
@blueprint.route("signin/callback", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def callback(req: func.HttpRequest) -> func.HttpResponse:
    """Finishes the sign-in: the tenant sends the browser back here."""
    url, cookies = sign_in.finish(query_of(req), cookies_of(req), services())
    return responses.redirect(url, cookies=cookies)


@blueprint.function_name("signout")
@blueprint.route("signout", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def signout(req: func.HttpRequest) -> func.HttpResponse:
    """Ends this person's sessions. Deletes their row too, unless the form says `keep=background-work`."""
    app = services()
    refuse_other_sites(req, app.settings.base_url)
    keep = form_of(req).get("keep") == "background-work"
    found = session_of(req, app)
    if found is not None:
        sign_in.sign_out(found[1], app, keep_background_work=keep)
    return responses.redirect("/", cookies=[app.sessions.end()])
