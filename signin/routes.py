"""GET /, /style.css, /icon.svg, /signin, /signin/callback; POST /signout."""

import azure.functions as func

from shared.errors import BadRequest, SignInFailed, StoreError, UnderstudyError
from shared.services import services
from shared.web import responses
from shared.web.error_handler import answer_error, handle_errors
from shared.web.error_pages import sign_out_unfinished
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
    app = services()
    from_own_page = sign_in.comes_from_own_page(req.headers, app.settings.base_url)
    url, cookies = sign_in.begin(query_of(req), cookies_of(req), app, from_own_page=from_own_page)
    return responses.redirect(url, cookies=cookies)


@blueprint.function_name("signin_callback")
@blueprint.route("signin/callback", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def callback(req: func.HttpRequest) -> func.HttpResponse:
    """Finishes the sign-in: the tenant sends the browser back here. Its flow is over then, also when this fails.

    A flow that can't be used leads somebody who is signed in to the first page: they pressed back, or reload.
    """
    app, query, cookies = services(), query_of(req), cookies_of(req)
    flow_cookie = app.sessions.drop_flow(query.get("state", ""))
    dropped = [flow_cookie] if flow_cookie.name in cookies else []
    try:
        taken = sign_in.take_flow(query, cookies, app)
        if taken is None and session_of(req, app):
            return responses.redirect("/", cookies=dropped)
        if taken is None:
            detail = "This sign-in was used, began in another browser, or is more than ten minutes old. Start again."
            raise SignInFailed(detail, code="unknown_flow")
        flow, next_path = taken
        location, made = sign_in.finish(flow, query, cookies, app, next_path=next_path)
    except UnderstudyError as error:
        return answer_error(req, error, cookies=dropped)
    return responses.redirect(location, cookies=[*made, *dropped])


@blueprint.function_name("signout")
@blueprint.route("signout", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def signout(req: func.HttpRequest) -> func.HttpResponse:
    """Ends this person's sessions. Deletes their row too, unless the form says `keep=background-work`.

    While the storage fails, the session in this browser ends all the same. The page says what didn't happen, and its
    button tries again with the field `unfinished`.
    """
    app = services()
    refuse_other_sites(req, app.settings.base_url)
    form = form_of(req)
    keep = "background-work" if form.get("keep") == "background-work" else ""
    again = form.get("unfinished")
    session = app.sessions.read(cookies_of(req)) if again is None else app.sessions.read_sign_out(again)
    if again is not None and session is None:
        raise BadRequest("This page is too old. Sign in, and sign out again.", code="sign_out_expired")
    # A second try leaves the cookie alone: it is of a later sign-in, perhaps somebody else's.
    cookies = [app.sessions.end()] if again is None else []
    if session is None:
        return responses.redirect("/", cookies=cookies)
    try:
        sign_in.sign_out(session, app, keep_background_work=bool(keep))
    except StoreError as error:
        advice = sign_out_unfinished(app.sessions.keep_sign_out(session), keep=keep)
        return answer_error(req, error, cookies=cookies, advice=advice)
    return responses.redirect("/", cookies=cookies)
