"""An administrator consents for a whole tenant. Microsoft's page "Admin consent on the Microsoft identity platform".

A sealed hidden field carries the request from page to page.
"""

from dataclasses import asdict, dataclass
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from localdev.tenant import pages
from localdev.tenant.consenting import Consenting
from localdev.tenant.errors import EntraError, refuse
from localdev.tenant.people import Person, tenants_of
from localdev.tenant.tenancy import Tenancy
from localdev.tenant.token_endpoint import read_form

_TOO_OLD = "This page is too old. Go back to the application and start again."


@dataclass(frozen=True)
class ConsentRequest:
    """The request, as it arrived; later with the administrator."""

    segment: str
    client_id: str
    redirect_uri: str
    scope: str
    state: str = ""
    username: str = ""


class AdminConsent:
    """The handlers."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._consenting = Consenting(tenancy)

    async def ask(self, request: Request) -> Response:
        """GET /{tenant}/v2.0/adminconsent: client_id, redirect_uri, scope, state."""
        try:
            wanted = self._read(request)
        except EntraError as error:
            return pages.problem(str(error))
        return pages.choose_person(
            self._tenancy.people.of(tenants_of(wanted.segment)),
            action="/adminconsent/choose",
            flow=self._seal(wanted),
            app_name=self._tenancy.apps.get(wanted.client_id).name,
        )

    async def choose(self, request: Request) -> Response:
        """POST /adminconsent/choose: flow, username. AADSTS90093 for who is no administrator of that tenant."""
        form = await read_form(request)
        wanted = self._resume(form)
        if wanted is None:
            return pages.problem(_TOO_OLD)
        app = self._tenancy.apps.get(wanted.client_id)
        try:
            person = self._tenancy.people.get(form.get("username", ""))
            person.check_may_sign_in()
            if not person.administrator or person.home not in tenants_of(wanted.segment):
                raise refuse(90093, client=app.name)
        except EntraError as error:
            return pages.problem(str(error), 403)
        named = ConsentRequest(**asdict(wanted) | {"username": person.username})
        words = self._consenting.words(wanted.client_id, wanted.scope)
        return pages.consent(
            person, words, action="/adminconsent/answer", flow=self._seal(named), app_name=f"{app.name}, for everybody,"
        )

    async def answer(self, request: Request) -> Response:
        """POST /adminconsent/answer: flow, answer=accept | cancel."""
        form = await read_form(request)
        wanted = self._resume(form)
        person = self._tenancy.people.find(wanted.username) if wanted else None
        if wanted is None or person is None:
            return pages.problem(_TOO_OLD)
        if form.get("answer") != "accept":
            text = "AADSTS65004: The resource owner or authorization server denied the request."
            return self._back(wanted, person, {"error": "consent_required", "error_description": text})
        self._consenting.give_for_everybody(wanted.client_id, wanted.scope, person.home)
        self._tenancy.journal.count("admin_consents", person.username)
        return self._back(wanted, person, {"scope": wanted.scope})

    def _read(self, request: Request) -> ConsentRequest:
        names = ("client_id", "redirect_uri", "scope", "state")
        given = {name: request.query_params.get(name, "") for name in names}
        for name in names[:3]:
            if not given[name]:
                raise refuse(900144, name=name)
        wanted = ConsentRequest(str(request.path_params["tenant"]), **given)
        app = self._tenancy.apps.get_in(wanted.client_id, tenants_of(wanted.segment))
        if not app.takes_redirect(wanted.redirect_uri):
            raise refuse(50011, uri=wanted.redirect_uri, client=wanted.client_id)
        self._tenancy.scopes.read(wanted.scope)
        return wanted

    def _back(self, wanted: ConsentRequest, person: Person, values: dict[str, str]) -> Response:
        everything = {"admin_consent": "True", "tenant": person.home, "state": wanted.state} | values
        query = urlencode({name: value for name, value in everything.items() if value})
        joint = "&" if urlsplit(wanted.redirect_uri).query else "?"
        return RedirectResponse(wanted.redirect_uri + joint + query, 302)

    def _seal(self, wanted: ConsentRequest) -> str:
        return self._tenancy.tickets.seal("admin_consent", asdict(wanted))

    def _resume(self, form: dict[str, str]) -> ConsentRequest | None:
        content = self._tenancy.tickets.open("admin_consent", form.get("flow", ""))
        return ConsentRequest(**content) if content else None
