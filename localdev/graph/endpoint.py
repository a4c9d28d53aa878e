"""What every request to the sample Graph goes through: token, permission, fault, work, journal.

The challenges of continuous access evaluation: Microsoft's page "Claims challenges, claims requests, and client
capabilities".
"""

import base64
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from localdev.graph.errors import GraphError, bad_request, unauthorized
from localdev.tenant.bearer import BearerRefused, read_bearer
from localdev.tenant.people import Person
from localdev.tenant.tenancy import Tenancy

PREFIX = "/graph"


@dataclass(frozen=True)
class Call:
    """One permitted request of one person. `scopes`: all permissions in the token."""

    tenancy: Tenancy
    request: Request
    body: bytes
    person: Person
    tid: str
    scopes: frozenset[str]

    @property
    def root(self) -> str:
        """The sample Graph's address, with the version."""
        return f"{self.tenancy.graph}/v1.0"

    @property
    def url(self) -> str:
        """This request's address without its query."""
        return self.tenancy.page + self.request.url.path

    def segment(self, name: str) -> str:
        """A variable part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        """A query parameter; "" when absent. Like Graph, takes its name in any case."""
        return next((value for key, value in self.request.query_params.items() if key.lower() == name.lower()), "")

    def preference(self, name: str) -> str:
        """The value of a preference in the Prefer headers (RFC 7240); "" when absent."""
        wishes = ",".join(self.request.headers.getlist("prefer")).split(",")
        found = (each.partition("=") for each in wishes if each.partition("=")[0].strip().lower() == name)
        return next((value.strip().strip('"') for _, _, value in found), "")

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises GraphError."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise bad_request("Unable to read JSON request payload.") from error
        if not isinstance(value, dict):
            raise bad_request("Unable to read JSON request payload.")
        return value


@dataclass(frozen=True)
class Way:
    """What one method of a path does. One of `scopes` is enough; none: any token for Graph."""

    scopes: tuple[str, ...]
    work: Callable[[Call], Response]


class Endpoint:
    """One path; `template` names it in the journal, "" for the path as it came."""

    def __init__(self, tenancy: Tenancy, template: str, ways: Mapping[str, Way]) -> None:
        self._tenancy, self._template, self._ways = tenancy, template, ways

    async def handle(self, request: Request) -> Response:
        """Answers one request."""
        body, begun = await request.body(), time.perf_counter()
        path = self._template or request.url.path.removeprefix(PREFIX)
        answer, username = self._answer(request, body)
        answer.headers["request-id"] = str(uuid.uuid4())
        answer.headers["client-request-id"] = request.headers.get("client-request-id", answer.headers["request-id"])
        self._tenancy.journal.graph(
            path, answer.status_code, time.perf_counter() - begun, username, method=request.method
        )
        return answer

    def _answer(self, request: Request, body: bytes) -> tuple[Response, str | None]:
        """The answer, and the person's username if the token names one."""
        username, tenancy = None, self._tenancy
        path = request.url.path.removeprefix(f"{PREFIX}/v1.0")
        way = self._ways.get(request.method)
        try:
            person, claims = self._bearer(request)
            username = person.username
            self._check_standing(person, claims)
            scopes = frozenset(str(claims["scp"]).split())
            if way and way.scopes and not scopes & set(way.scopes):
                raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        except GraphError as error:
            refused = error.answer()
            fault = tenancy.faults.take("graph", username, method=request.method, path=path)
            # Who may not come in at all learns nothing from a fault that lets the work be done.
            return (tenancy.faults.answer(fault, lambda: refused) if fault else refused), username
        call = Call(tenancy, request, body, person, str(claims.get("tid", person.home)), scopes)
        fault = tenancy.faults.take("graph", username, method=request.method, path=path)
        if fault and fault.kind == "throttle":
            tenancy.journal.throttled(again=fault.hit > 1)
        return tenancy.faults.answer(fault, lambda: _try(way, call)), username

    def _bearer(self, request: Request) -> tuple[Person, dict[str, Any]]:
        try:
            return read_bearer(self._tenancy, request.headers.get("authorization", ""), self._tenancy.scopes.is_graph)
        except BearerRefused as error:
            raise unauthorized(str(error)) from error

    def _check_standing(self, person: Person, claims: dict[str, Any]) -> None:
        """Continuous access evaluation: challenges only clients that say they understand it."""
        if "xms_cc" in claims and claims["xms_events"] < person.challenged_at:
            wanted = {"access_token": {"nbf": {"essential": True, "value": str(int(person.event_time))}}}
            packed = base64.b64encode(json.dumps(wanted).encode()).decode()
            where = f"{self._tenancy.page}/common/oauth2/v2.0/authorize"
            raise unauthorized(
                "Continuous access evaluation resulted in challenge with result: InteractionRequired.",
                f'Bearer realm="", authorization_uri="{where}", error="insufficient_claims", claims="{packed}"',
            )


def _try(way: Way | None, call: Call) -> Response:
    try:
        if way is None:
            raise GraphError(405, "Request_BadRequest", "The sample Graph does not take this method here.")
        return way.work(call)
    except GraphError as error:
        return error.answer()
