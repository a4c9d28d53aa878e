"""The control API over HTTP: JSON under /control, for demos and other processes. Loopback only.

    PATCH  /control/people/{username}               state, continuous_access, roles, profile
    POST   /control/people                          username, name, job_title, roles, photo, administrator
    DELETE /control/people/{username}/consents      scope, client_id
    GET    /control/people/{username}/mail
    POST   /control/people/{username}/mail          subject, sender, text
    POST   /control/people/{username}/tasks         title, status
    PATCH  /control/people/{username}/tasks/{task}  title, status
    DELETE /control/people/{username}/delta-links
    PATCH  /control/tenants/{tenant}                consent
    POST   /control/faults                          where, kind and more: see faults.Fault
    DELETE /control/faults
    PATCH  /control/settings                        see settings.TenantSettings
    PATCH  /control/apps/{client_id}                secret_state, removed_from_tenants
    GET    /control/log, GET /control/people, GET /control/pushed
    POST   /control/reset

A browser page of another site can't reach it: changes need a JSON content type, which such a page may not send without
a CORS preflight.
"""

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localdev.control.commands import Commands
from localdev.control.data_commands import DataCommands
from localdev.tenant.errors import EntraError

# What a path's variable parts and the body's values do.
_Change = Callable[..., Any]


class Control:
    """The commands over HTTP."""

    def __init__(self, commands: Commands, data: DataCommands) -> None:
        self._commands, self._data = commands, data

    def routes(self) -> list[Route]:
        """Where they are served."""
        tenant, data = self._commands, self._data
        person = "/control/people/{username}"
        return [
            _route("/control/people", get=tenant.people, post=tenant.add_person),
            _route(person, patch=tenant.change_person),
            _route(f"{person}/consents", delete=tenant.withdraw_consent),
            _route(f"{person}/mail", get=data.mail, post=data.deliver_mail),
            _route(f"{person}/tasks", post=data.add_task),
            _route(f"{person}/tasks/{{task}}", patch=data.change_task),
            _route(f"{person}/delta-links", delete=data.expire_delta_links),
            _route("/control/tenants/{tenant}", patch=tenant.change_tenant),
            _route("/control/faults", post=tenant.add_fault, delete=tenant.clear_faults),
            _route("/control/settings", patch=tenant.change_settings),
            _route("/control/apps/{client_id}", patch=tenant.change_app),
            _route("/control/log", get=tenant.log),
            _route("/control/pushed", get=data.pushed),
            _route("/control/reset", post=tenant.reset),
        ]


def _route(path: str, **commands: _Change) -> Route:
    """A path whose methods do these commands: the path's variable parts first, then the body's values."""
    by_method = {method.upper(): command for method, command in commands.items()}

    async def handle(request: Request) -> Response:
        command, parts = by_method[request.method], request.path_params
        if request.method == "GET":
            return _answer(lambda _: command(**parts), {})
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return JSONResponse({"error": "send application/json"}, 415)
        return _answer(lambda values: command(**values, **parts), await request.body())

    return Route(path, handle, methods=list(by_method))


def _answer(command: Callable[[dict[str, Any]], Any], body: Any) -> Response:
    try:
        values = json.loads(body or b"{}")
        if not isinstance(values, dict):
            raise ValueError("an object is needed")
        answer = command(values)
    except EntraError as error:
        return JSONResponse({"error": str(error)}, 404)
    except (ValueError, TypeError) as error:
        return JSONResponse({"error": str(error)}, 400)
    return JSONResponse({} if answer is None else answer)
