"""The browser's side of a sign-in: authorize, choose a person, consent, return to the app. Also sign-out.

OpenID Connect Core 1.0, RFC 6749 4.1, RFC 7636; Microsoft's page "OAuth 2.0 authorization code flow". A sealed hidden
field carries the state from page to page.
"""

from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from localdev.tenant import pages
from localdev.tenant.auth_request import AuthRequest
from localdev.tenant.browser_session import BrowserSession, BrowserSessions
from localdev.tenant.consenting import Consenting
from localdev.tenant.errors import EntraError, refuse
from localdev.tenant.grants import SignIn
from localdev.tenant.people import Person
from localdev.tenant.tenancy import Tenancy, read_claims, wants_cae
from localdev.tenant.token_endpoint import read_form

_MODES = ("query", "form_post")
_INTERACTIVE = ("login", "select_account")


class Authorization:
    """The handlers. Pages get a `flow` field: the request, and from the consent page on the person."""

    def __init__(self, tenancy: Tenancy, sessions: BrowserSessions) -> None:
        self._tenancy, self._sessions = tenancy, sessions
        self._consenting = Consenting(tenancy)

    async def authorize(self, request: Request) -> Response:
        """GET …/authorize."""
        try:
            wanted = self._read(str(request.path_params.get("tenant", "oidc")), request)
        except EntraError as error:
            return pages.problem(self._words(error))
        try:
            self._check(wanted)
            return self._begin(wanted, self._sessions.of(request))
        except EntraError as error:
            return self._back(wanted, self._failure(error))

    async def choose(self, request: Request) -> Response:
        """POST /choose: flow, username."""
        form = await read_form(request)
        wanted, _ = self._resume(form)
        if wanted is None:
            return pages.problem("This page is too old. Go back to the application and start again.")
        person = self._tenancy.people.find(form.get("username", ""))
        try:
            if person is None or person not in self._tenancy.people.of(wanted.tids):
                raise refuse(50034, username=form.get("username", ""))
            person.check_may_sign_in()
        except EntraError as error:
            return pages.problem(self._words(error), 403)
        person.signed_in()
        self._tenancy.save()
        session = self._sessions.start(person)
        response = self._continue(wanted, person, session)
        self._sessions.keep(response, session)
        return response

    async def consent(self, request: Request) -> Response:
        """POST /consent: flow, answer."""
        form = await read_form(request)
        wanted, session = self._resume(form)
        if wanted is None or session is None:
            return pages.problem("This page is too old. Go back to the application and start again.")
        person = self._tenancy.people.get(session.username)
        refused = self._refusal(wanted, person)
        if refused or form.get("answer") != "accept":
            return self._back(wanted, self._failure(refused or refuse(65004)) | {"error_subcode": "cancel"})
        self._consenting.give(wanted.client_id, wanted.scope, person, wanted.tid(person))
        return self._back(wanted, self._success(wanted, person, session))

    async def sign_out(self, request: Request) -> Response:
        """GET …/logout: ends the browser's session and returns to the app if asked to."""
        uri = request.query_params.get("post_logout_redirect_uri", "")
        welcome = any(app.takes_logout(uri) for app in self._tenancy.apps) if uri else False
        done = RedirectResponse(uri, 302) if welcome else pages.page("Signed out", "<p>You can close this page.</p>")
        self._sessions.end(done)
        return done

    def _read(self, segment: str, request: Request) -> AuthRequest:
        """Refuses here what must not be answered by a redirect: a wrong tenant, client or redirect URI."""
        known = AuthRequest.__dataclass_fields__.keys() - {"segment"}
        given = {name: value for name, value in request.query_params.items() if name in known}
        for name in ("client_id", "redirect_uri"):
            if not given.get(name):
                raise refuse(900144, name=name)
        wanted = AuthRequest(segment, **given)
        app = self._tenancy.apps.get_in(wanted.client_id, wanted.tids)
        if not app.takes_redirect(wanted.redirect_uri):
            raise refuse(50011, uri=wanted.redirect_uri, client=wanted.client_id)
        return replace(wanted, client_id=app.client_id)

    def _check(self, wanted: AuthRequest) -> None:
        if wanted.response_type != "code":
            raise refuse(700054, given=wanted.response_type)
        if wanted.response_mode not in _MODES:
            raise refuse(900144, name="response_mode")
        if not wanted.scope:
            raise refuse(900144, name="scope")
        if bool(wanted.code_challenge) != (wanted.code_challenge_method == "S256"):
            raise refuse(50147)
        try:
            wants_cae(read_claims(wanted.claims))
        except (ValueError, AttributeError) as error:
            raise refuse(70002) from error
        self._tenancy.scopes.read(wanted.scope)

    def _begin(self, wanted: AuthRequest, session: BrowserSession | None) -> Response:
        person = self._remembered(wanted, session)
        if wanted.prompt == "none":
            return self._silent(wanted, person, session)
        if person and session and wanted.prompt not in _INTERACTIVE:
            return self._continue(wanted, person, session)
        return pages.choose_person(
            self._candidates(wanted),
            action="/choose",
            flow=self._seal(wanted),
            app_name=self._tenancy.apps.get(wanted.client_id).name,
            hint=self._sessions.hinted(wanted.login_hint),
        )

    def _candidates(self, wanted: AuthRequest) -> list[Person]:
        people = self._tenancy.people.of(wanted.tids)
        domain = wanted.domain_hint.lower()
        return [each for each in people if each.username.endswith("@" + domain)] or people

    def _remembered(self, wanted: AuthRequest, session: BrowserSession | None) -> Person | None:
        """The person whom this browser's session signs in without a page."""
        person = self._tenancy.people.find(session.username) if session else None
        if session is None or person is None or person not in self._tenancy.people.of(wanted.tids):
            return None
        hint = self._sessions.hinted(wanted.login_hint)
        if hint and hint.lower() != person.username.lower():
            return None
        return person

    def _silent(self, wanted: AuthRequest, person: Person | None, session: BrowserSession | None) -> Response:
        if person is None or session is None:
            raise refuse(50058)
        try:
            person.check_not_barred(session.events)
        except EntraError as error:
            raise _needing(error, "interaction_required") from error
        if self._consenting.missing(wanted.client_id, wanted.scope, person, wanted.tid(person)):
            raise _needing(refuse(65001, client=wanted.client_id), "consent_required")
        return self._back(wanted, self._success(wanted, person, session))

    def _continue(self, wanted: AuthRequest, person: Person, session: BrowserSession) -> Response:
        """The person is known: asks for consent, or finishes."""
        if session.events < person.barred_at or person.state in ("disabled", "conditional_access"):
            return self._begin(replace(wanted, prompt="login"), None)
        missing = self._consenting.missing(wanted.client_id, wanted.scope, person, wanted.tid(person))
        if not missing and wanted.prompt != "consent":
            return self._back(wanted, self._success(wanted, person, session))
        flow, app_name = self._seal(wanted, session), self._tenancy.apps.get(wanted.client_id).name
        refused = self._refusal(wanted, person)
        if refused:
            return pages.need_administrator(str(refused), action="/consent", flow=flow, app_name=app_name)
        words = self._consenting.words(wanted.client_id, wanted.scope)
        return pages.consent(person, words, action="/consent", flow=flow, app_name=app_name)

    def _refusal(self, wanted: AuthRequest, person: Person) -> EntraError | None:
        anyway, tid = wanted.prompt == "consent", wanted.tid(person)
        return self._consenting.refusal(wanted.client_id, wanted.scope, person, tid, anyway=anyway)

    def _success(self, wanted: AuthRequest, person: Person, session: BrowserSession) -> dict[str, str]:
        sign_in = SignIn(
            client_id=wanted.client_id,
            username=person.username,
            tid=wanted.tid(person),
            scope=wanted.scope,
            events=person.events,
            auth_time=session.at,
            provider=wanted.provider,
            nonce=wanted.nonce,
            cae=wants_cae(read_claims(wanted.claims)),
            sid=session.sid,
        )
        self._tenancy.journal.count("sign_ins", person.username)
        code = self._tenancy.codes.issue(sign_in, wanted.redirect_uri, wanted.code_challenge)
        return {"code": code, "session_state": session.sid}

    def _failure(self, error: EntraError) -> dict[str, str]:
        extras = {"error_uri": f"{self._tenancy.back}/error?code={error.code}", "claims": error.claims}
        described = {"error": error.error, "error_description": self._words(error)}
        return described | {name: value for name, value in extras.items() if value}

    def _words(self, error: EntraError) -> str:
        return error.described(now=self._tenancy.now(), correlation_id=error.trace_id)

    def _back(self, wanted: AuthRequest, values: dict[str, str]) -> Response:
        """Returns to the app by redirect or form post. The plain provider names itself (RFC 9207); Entra does not."""
        if wanted.state:
            values = values | {"state": wanted.state}
        if wanted.provider == "oidc":
            values = values | {"iss": f"{self._tenancy.back}/oidc"}
        if wanted.response_mode == "form_post":
            return pages.post_back(wanted.redirect_uri, values)
        joint = "&" if urlsplit(wanted.redirect_uri).query else "?"
        return RedirectResponse(wanted.redirect_uri + joint + urlencode(values), 302)

    def _seal(self, wanted: AuthRequest, session: BrowserSession | None = None) -> str:
        content: dict[str, Any] = {"wanted": asdict(wanted), "session": asdict(session) if session else None}
        return self._tenancy.tickets.seal("flow", content)

    def _resume(self, form: dict[str, str]) -> tuple[AuthRequest | None, BrowserSession | None]:
        content = self._tenancy.tickets.open("flow", form.get("flow", ""))
        if content is None:
            return None, None
        session = BrowserSession(**content["session"]) if content["session"] else None
        return AuthRequest(**content["wanted"]), session


def _needing(error: EntraError, name: str) -> EntraError:
    """The same refusal in the words of prompt=none."""
    return EntraError(error.code, name, error.text, error.suberror, error.status, error.claims)
