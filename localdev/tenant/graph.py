"""A small Microsoft Graph: profile, photo and calendar of the person whom an access token is for.

Refusals have Graph's shape. The challenges of continuous access evaluation: Microsoft's page "Claims challenges, claims
requests, and client capabilities".
"""

import base64
import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localdev.tenant.calendar import events_between
from localdev.tenant.people import Person
from localdev.tenant.photo import portrait
from localdev.tenant.tenancy import Tenancy

_PROFILES = ("User.Read", "User.ReadWrite")
_CALENDARS = ("Calendars.Read", "Calendars.ReadBasic", "Calendars.ReadWrite")
_DEFAULT_FIELDS = (
    "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
    "preferredLanguage", "surname", "userPrincipalName", "id",
)  # fmt: skip


class GraphError(Exception):
    """A refusal by Graph."""

    def __init__(self, status: int, code: str, message: str, challenge: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.challenge = status, code, challenge


class Graph:
    """The handlers, under /v1.0."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    async def me(self, request: Request) -> Response:
        """GET /me; $select is honoured."""
        return self._counted(request, _PROFILES, self._profile)

    async def photo(self, request: Request) -> Response:
        """GET /me/photo/$value, /me/photos/{size}/$value: a PNG, or 404."""
        return self._counted(request, _PROFILES, self._portrait)

    async def calendar_view(self, request: Request) -> Response:
        """GET /me/calendarView: events between startDateTime and endDateTime; $top and $select are honoured."""
        return self._counted(request, _CALENDARS, self._events)

    async def unknown(self, request: Request) -> Response:
        """Any other path: 404. The sample has nothing else of Graph."""
        return self._counted(request, (), self._missing)

    def _counted(
        self, request: Request, scopes: tuple[str, ...], work: Callable[[Request, Person, str], Response]
    ) -> Response:
        begun = time.perf_counter()
        person, tid, answer = self._identified(request, scopes)
        username = person.username if person else None
        fault = self._tenancy.faults.take("graph", username)
        if answer is None and person is not None:
            known = person
            answer = self._tenancy.faults.answer(fault, lambda: self._tried(request, lambda: work(request, known, tid)))
        elif fault is not None:
            refused = answer or Response()
            answer = self._tenancy.faults.answer(fault, lambda: refused)
        assert answer is not None
        answer.headers["request-id"] = str(uuid.uuid4())
        answer.headers["client-request-id"] = request.headers.get("client-request-id", answer.headers["request-id"])
        path = request.url.path.removeprefix("/graph")
        self._tenancy.journal.graph(path, answer.status_code, time.perf_counter() - begun, username)
        return answer

    def _identified(self, request: Request, scopes: tuple[str, ...]) -> tuple[Person | None, str, Response | None]:
        """Returns the caller and the tenant, or the refusal."""
        try:
            person, claims = self._bearer(request)
        except GraphError as error:
            return None, "", _refusal(error)
        try:
            self._check_standing(person, claims)
            self._check_scope(claims, scopes)
        except GraphError as error:
            return person, "", _refusal(error)
        return person, str(claims.get("tid", person.home)), None

    def _tried(self, request: Request, work: Callable[[], Response]) -> Response:
        try:
            if request.method != "GET":
                raise GraphError(405, "Request_BadRequest", "The sample Graph only reads.")
            return work()
        except GraphError as error:
            return _refusal(error)

    def _bearer(self, request: Request) -> tuple[Person, dict[str, Any]]:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise _unauthorized("Access token is empty.")
        claims = self._tenancy.signing.verified(token)
        if claims is None:
            raise _unauthorized("Signature validation failed.")
        if not self._tenancy.scopes.is_graph(str(claims.get("aud"))):
            raise _unauthorized("Invalid audience.")
        if not claims["nbf"] - 300 <= self._tenancy.now() < claims["exp"]:
            raise _unauthorized("Lifetime validation failed, the token is expired.")
        person = self._tenancy.people.by_subject(str(claims.get("oid") or claims.get("sub")))
        if person is None or "scp" not in claims:
            raise _unauthorized("The token names nobody.")
        return person, claims

    def _check_standing(self, person: Person, claims: dict[str, Any]) -> None:
        """Continuous access evaluation: challenges only clients that say they understand it."""
        if "xms_cc" in claims and claims["xms_events"] < person.challenged_at:
            wanted = {"access_token": {"nbf": {"essential": True, "value": str(int(person.event_time))}}}
            packed = base64.b64encode(json.dumps(wanted).encode()).decode()
            where = f"{self._tenancy.page}/common/oauth2/v2.0/authorize"
            raise _unauthorized(
                "Continuous access evaluation resulted in challenge with result: InteractionRequired.",
                f'Bearer realm="", authorization_uri="{where}", error="insufficient_claims", claims="{packed}"',
            )

    def _check_scope(self, claims: dict[str, Any], scopes: tuple[str, ...]) -> None:
        if scopes and not set(scopes) & set(str(claims["scp"]).split()):
            raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")

    def _profile(self, request: Request, person: Person, tid: str) -> Response:
        everything = person.profile | {"id": person.oids.get(tid, person.subject)}
        selected = [name for name in request.query_params.get("$select", "").split(",") if name]
        names = selected or _DEFAULT_FIELDS
        lower = {name.lower(): name for name in everything}
        found = {lower[name.lower()]: everything[lower[name.lower()]] for name in names if name.lower() in lower}
        return JSONResponse({"@odata.context": f"{self._root}/$metadata#users/$entity"} | found)

    def _portrait(self, _: Request, person: Person, __: str) -> Response:
        if not person.photo:
            raise GraphError(404, "ImageNotFound", "Exception of type 'ImageNotFoundException' was thrown.")
        return Response(portrait(person.username), media_type="image/png")

    def _events(self, request: Request, person: Person, _: str) -> Response:
        try:
            start, end = (_moment(request.query_params[name]) for name in ("startDateTime", "endDateTime"))
            top = int(request.query_params.get("$top", "10"))
        except (KeyError, ValueError) as error:
            raise GraphError(
                400, "ErrorInvalidParameter", "startDateTime and endDateTime are needed; $top is a number."
            ) from error
        names = [name for name in request.query_params.get("$select", "").split(",") if name]
        found = events_between(person.username, start, end)[:top]
        shown = [{key: value for key, value in each.items() if not names or key in (*names, "id")} for each in found]
        return JSONResponse({"@odata.context": f"{self._root}/$metadata#users('me')/calendarView", "value": shown})

    def _missing(self, request: Request, _: Person, __: str) -> Response:
        raise GraphError(404, "Request_ResourceNotFound", f"The sample Graph has no {request.url.path}.")

    @property
    def _root(self) -> str:
        return f"{self._tenancy.graph}/v1.0"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unauthorized(message: str, challenge: str = "Bearer") -> GraphError:
    return GraphError(401, "InvalidAuthenticationToken", message, challenge)


def _refusal(error: GraphError) -> Response:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    body = {"error": {"code": error.code, "message": str(error), "innerError": {"date": stamp}}}
    headers = {"WWW-Authenticate": error.challenge} if error.challenge else {}
    return JSONResponse(body, error.status, headers)
