"""GET /accounts, /accounts.json, /accounts.csv; POST /accounts/remove, /accounts/sweep. For the role ADMIN_ROLE."""

import azure.functions as func

from operators import charts, commands, exports
from operators.overview import Choice, listed, overdue_before, overview
from operators.reasons import reason_of
from shared.errors import BadRequest
from shared.services import services
from shared.web import responses
from shared.web.error_handler import handle_errors
from shared.web.pages import signed_in_page
from shared.web.requests import (
    form_of,
    query_of,
    refuse_other_sites,
    require_operator,
    require_operator_or_token,
    text_of,
)

_PAGE = 25
_EXPORT = 500

blueprint = func.Blueprint()


@blueprint.function_name("accounts")
@blueprint.route("accounts", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts(req: func.HttpRequest) -> func.HttpResponse:
    """Is everybody looked after?"""
    app = services()
    session, _ = require_operator(req, app)
    query = query_of(req)
    shown = overview(Choice.of(query, most=_PAGE), app)
    return signed_in_page(
        "operators/accounts.html",
        session,
        app,
        here="/accounts",
        shown=shown,
        reason_of=reason_of,
        people=charts.outcomes(shown.sweeps),
        seconds=charts.measured(shown.sweeps, "seconds", lambda sweep: sweep.seconds),
        rates=charts.measured(shown.sweeps, "people a second", lambda sweep: sweep.rate),
        notice=text_of(query, "notice", longest=20),
    )


@blueprint.function_name("accounts_json")
@blueprint.route("accounts.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts_json(req: func.HttpRequest) -> func.HttpResponse:
    """The same for scripts."""
    app = services()
    require_operator_or_token(req, app)
    choice = Choice.of(query_of(req), most=_EXPORT)
    shown = overview(choice, app)
    return responses.as_json(exports.as_document(shown, _next(choice, "/accounts.json", shown.page.cursor)))


@blueprint.function_name("accounts_csv")
@blueprint.route("accounts.csv", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts_csv(req: func.HttpRequest) -> func.HttpResponse:
    """The list for spreadsheets; where it goes on is in the Link header."""
    app = services()
    require_operator_or_token(req, app)
    choice = Choice.of(query_of(req), most=_EXPORT)
    page = listed(choice, app)
    return responses.as_csv(
        exports.as_csv(page, overdue_before(app)), next_path=_next(choice, "/accounts.csv", page.cursor)
    )


@blueprint.function_name("accounts_remove")
@blueprint.route("accounts/remove", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts_remove(req: func.HttpRequest) -> func.HttpResponse:
    """Removes one account; the operator comes back to the list as it was filtered."""
    app = services()
    refuse_other_sites(req, app.settings.base_url)
    _, operator_account = require_operator(req, app)
    form = form_of(req)
    account_id = text_of(form, "account_id", longest=2000)
    if not account_id:
        raise BadRequest("Say which account.")
    removed = commands.remove(account_id, app, by=operator_account)
    choice = Choice.of(form, most=_PAGE)
    return responses.redirect(choice.path(notice="removed" if removed else "gone"))


@blueprint.function_name("accounts_sweep")
@blueprint.route("accounts/sweep", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts_sweep(req: func.HttpRequest) -> func.HttpResponse:
    """Sweep now: an HTTP request is cut at 230 s, so that this one only puts messages on the queue."""
    app = services()
    refuse_other_sites(req, app.settings.base_url)
    _, operator_account = require_operator(req, app)
    slots = commands.sweep_now(app, by=operator_account)
    return responses.redirect(Choice().path(notice="sweep" if slots else "nothing-due"))


def _next(choice: Choice, path: str, cursor: str) -> str:
    return choice.path(path, cursor=cursor, top=str(choice.most)) if cursor else ""
