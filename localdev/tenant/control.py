"""The control API: JSON over HTTP under /control, for demos and other processes. Loopback only.

    PATCH  /control/people/{username}   {"state": …, "continuous_access": bool, "roles": […], "profile": {…}}
    POST   /control/people              {"username": …, "name": …, "job_title": …, "roles": […], "photo": bool}
    POST   /control/faults              {"where": …, "kind": …, …}   see faults.Fault
    DELETE /control/faults
    PATCH  /control/settings            see settings.TenantSettings
    PATCH  /control/apps/{client_id}    {"secret_state": "valid"|"expired"|"wrong", "removed_from_tenants": […]}
    GET    /control/log, GET /control/people
    POST   /control/reset

A browser page of another site can't reach it: changes need a JSON content type, which such a page may not send without
a CORS preflight.
"""

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localdev.tenant.apps import SecretState
from localdev.tenant.errors import EntraError
from localdev.tenant.faults import fault_from
from localdev.tenant.people import STATES, make
from localdev.tenant.tenancy import Tenancy


class Commands:
    """What can be done to a tenant. Raises ValueError for invalid values and EntraError for unknown people or apps."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def change_person(self, username: str, **changes: Any) -> dict[str, Any]:
        """`state` (of people.STATES; None undoes all), `continuous_access`, `roles`, `profile` (fields to change)."""
        if changes.keys() - {"state", "continuous_access", "roles", "profile"}:
            raise ValueError("a person has state, continuous_access, roles and profile")
        if changes.get("state") not in (None, *STATES):
            raise ValueError(f"state must be null or one of {', '.join(STATES)}")
        person = self._tenancy.people.get(username)
        challenge = bool(changes.get("continuous_access"))
        if "state" in changes or challenge:
            self._tenancy.happen(person, changes.get("state", person.state), challenge=challenge)
        person.roles = list(changes.get("roles", person.roles))
        person.profile |= changes.get("profile", {})
        self._tenancy.save()
        return self._shown(username)

    def add_person(self, username: str, name: str, **facts: Any) -> dict[str, Any]:
        """A new person in one of the two organisations, by the domain of their username."""
        try:
            self._tenancy.people.add(make(username, name, **facts))
        except (StopIteration, TypeError) as error:
            raise ValueError("username must be in a sample domain; facts are those of people.make") from error
        return self._shown(username)

    def people(self) -> list[dict[str, Any]]:
        """Everybody."""
        return [self._shown(person.username) for person in self._tenancy.people]

    def add_fault(self, **values: Any) -> None:
        """See faults.Fault."""
        self._tenancy.faults.add(fault_from(values))

    def clear_faults(self) -> None:
        """Removes all faults and resets the requests that hang."""
        self._tenancy.faults.clear()

    def change_settings(self, **changes: Any) -> dict[str, Any]:
        """See settings.TenantSettings."""
        self._tenancy.settings.change(**changes)
        return dict(vars(self._tenancy.settings))

    def change_app(self, client_id: str, **changes: Any) -> None:
        """`secret_state`: valid, expired or wrong; `removed_from_tenants`: tenant IDs."""
        app = self._tenancy.apps.get(client_id)
        if changes.keys() - {"secret_state", "removed_from_tenants"}:
            raise ValueError("an app has secret_state and removed_from_tenants")
        app.secret_state = SecretState(changes.get("secret_state", app.secret_state))
        app.removed_from_tenants = set(changes.get("removed_from_tenants", app.removed_from_tenants))

    def log(self) -> dict[str, Any]:
        """What the tenant has done; see journal."""
        return self._tenancy.journal.report()

    def reset(self) -> None:
        """Resets everything but keys and secrets."""
        self._tenancy.forget()

    def _shown(self, username: str) -> dict[str, Any]:
        person = self._tenancy.people.get(username)
        shown = {name: getattr(person, name) for name in ("username", "name", "state", "roles", "profile", "oids")}
        return shown | {"password": person.password}


class Control:
    """The handlers: the commands over HTTP."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def person(self, request: Request) -> Response:
        """PATCH /control/people/{username}."""
        username = str(request.path_params["username"])
        return await _done(request, lambda values: self._commands.change_person(username, **values))

    async def people(self, request: Request) -> Response:
        """GET and POST /control/people."""
        if request.method == "GET":
            return JSONResponse(self._commands.people())
        return await _done(request, lambda values: self._commands.add_person(**values))

    async def faults(self, request: Request) -> Response:
        """POST and DELETE /control/faults."""
        if request.method == "DELETE":
            return await _done(request, lambda _: self._commands.clear_faults())
        return await _done(request, lambda values: self._commands.add_fault(**values))

    async def settings(self, request: Request) -> Response:
        """PATCH /control/settings."""
        return await _done(request, lambda values: self._commands.change_settings(**values))

    async def app(self, request: Request) -> Response:
        """PATCH /control/apps/{client_id}."""
        client_id = str(request.path_params["client_id"])
        return await _done(request, lambda values: self._commands.change_app(client_id, **values))

    async def log(self, _: Request) -> Response:
        """GET /control/log."""
        return JSONResponse(self._commands.log())

    async def reset(self, request: Request) -> Response:
        """POST /control/reset."""
        return await _done(request, lambda _: self._commands.reset())


async def _done(request: Request, command: Callable[[dict[str, Any]], Any]) -> Response:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return JSONResponse({"error": "send application/json"}, 415)
    try:
        values = json.loads(await request.body() or b"{}")
        if not isinstance(values, dict):
            raise ValueError("an object is needed")
        answer = command(values)
    except EntraError as error:
        return JSONResponse({"error": str(error)}, 404)
    except (ValueError, TypeError) as error:
        return JSONResponse({"error": str(error)}, 400)
    return JSONResponse({} if answer is None else answer)
