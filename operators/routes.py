"""GET /accounts, /accounts.json, /accounts.csv; POST /accounts/remove, /accounts/sweep.

All need ADMIN_ROLE and a tenant of OPERATOR_TENANTS; a bearer token needs OPERATOR_SCOPE too.
"""

import re

import azure.functions as func

from operators import charts, commands, exports
from operators.overview import Choice, list_accounts, load_overview, overdue_before
from operators.reasons import reason_of
from shared.errors import BadRequest, Conflict
from shared.services import services
from shared.store import OddRow
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
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]+"')  # RFC 9110, 8.8.3; it becomes a header

blueprint = func.Blueprint()


@blueprint.function_name("accounts")
@blueprint.route("accounts", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts(req: func.HttpRequest) -> func.HttpResponse:
    """The operators' page: counts, the last sweeps, and a list of accounts."""
    app = services()
    session, account = require_operator(req, app)
    query = query_of(req)
    shown = load_overview(Choice.of(query, most=_PAGE), app)
    return signed_in_page(
        "operators/accounts.html",
        session,
        account,
        app,
        here="/accounts",
        shown=shown,
        reason_of=reason_of,
        people=charts.outcomes(shown.sweeps),
        seconds=charts.measured(shown.sweeps, "seconds", lambda sweep: sweep.seconds),
        rates=charts.measured(shown.sweeps, "people per second", lambda sweep: sweep.rate),
        notice=text_of(query, "notice", longest=20),
    )


@blueprint.function_name("accounts_json")
@blueprint.route("accounts.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts_json(req: func.HttpRequest) -> func.HttpResponse:
    """The same content as JSON, for scripts."""
    app = services()
    require_operator_or_token(req, app)
    choice = Choice.of(query_of(req), most=_EXPORT)
    shown = load_overview(choice, app)
    return responses.as_json(exports.as_document(shown, _next_path(choice, "/accounts.json", shown.page.cursor)))


@blueprint.function_name("accounts_csv")
@blueprint.route("accounts.csv", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts_csv(req: func.HttpRequest) -> func.HttpResponse:
    """The list as CSV, for spreadsheets. The Link header has the address of the next page."""
    app = services()
    require_operator_or_token(req, app)
    choice = Choice.of(query_of(req), most=_EXPORT)
    page = list_accounts(choice, app)
    return responses.as_csv(
        exports.as_csv(page, overdue_before(app)), next_path=_next_path(choice, "/accounts.csv", page.cursor)
    )


@blueprint.function_name("accounts_remove")
@blueprint.route("accounts/remove", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts_remove(req: func.HttpRequest) -> func.HttpResponse:
    """Removes one account; or, by its keys and its ETag, one row that can't be read. Leads back to the list, filtered
    as before."""
    app = services()
    refuse_other_sites(req, app.settings.base_url)
    _, operator_account = require_operator(req, app)
    form = form_of(req)
    choice = Choice.of(form, most=_PAGE)
    account_id, etag = text_of(form, "account_id", longest=2000), text_of(form, "etag", longest=200)
    if account_id:
        removed = commands.remove_account(account_id, app, by=operator_account)
        return responses.redirect(choice.path(notice="removed" if removed else "gone"))
    if not _ETAG.fullmatch(etag):
        raise BadRequest("Say which account to remove.")
    slot, key = text_of(form, "slot", longest=2000), text_of(form, "key", longest=2000)
    try:
        removed = commands.remove_odd_row(OddRow(slot=slot, key=key, reason="", etag=etag), app, by=operator_account)
    except Conflict:
        return responses.redirect(choice.path(notice="row-changed"))
    return responses.redirect(choice.path(notice="row-removed" if removed else "row-gone"))


@blueprint.function_name("accounts_sweep")
@blueprint.route("accounts/sweep", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def accounts_sweep(req: func.HttpRequest) -> func.HttpResponse:
    """Requests a sweep. It only queues messages: an HTTP request of a function is cut off after 230 s."""
    app = services()
    refuse_other_sites(req, app.settings.base_url)
    _, operator_account = require_operator(req, app)
    slots = commands.request_sweep(app, by=operator_account)
    return responses.redirect(Choice().path(notice="sweep" if slots else "nothing-due"))


def _next_path(choice: Choice, path: str, cursor: str) -> str:
    """The address of the next page of an export; "" after the last."""
    return choice.path(path, cursor=cursor, top=str(choice.most)) if cursor else ""
