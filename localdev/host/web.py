"""The web server's one door: functions, the host's own paths, the home page."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from localdev.host import http
from localdev.host.bindings import decode, encode_http
from localdev.host.config import HostConfig
from localdev.host.indexing import IndexedFunction
from localdev.host.invocation import Invoker
from localdev.host.routes import Route, Router

_ADMIN_FUNCTIONS = "/admin/functions"
_HOME = "<!DOCTYPE html><html><head><title>Functions</title></head><body>The local Functions host is running.</body>"
_BY_REQUEST = "This function was programmatically called via the host APIs."
# Starts a function by name with an input; False when there is no such function.
Fire = Callable[[str, str], Awaitable[bool]]


class WebApp:
    """An ASGI application over an app's HTTP functions.

    Raises:
        IndexingError: A route that the host refuses.
    """

    def __init__(
        self,
        functions: Sequence[IndexedFunction],
        config: HostConfig,
        settings: Mapping[str, str],
        *,
        invoker: Invoker,
        fire: Fire,
    ) -> None:
        self.router = Router(functions, prefix=config.route_prefix)
        self._names = [function.name for function in functions]
        self._has_homepage = settings.get("AzureWebJobsDisableHomepage", "").lower() != "true"
        self._invoker = invoker
        self._fire = fire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = http.path_of(request)
        if _is_under(path, "/admin"):
            return await self._admin(request, path)
        if _is_under(path, "/runtime"):
            return Response(status_code=404)
        found = self.router.find(request.method, path)
        if found is not None:
            return await self._invoke(request, path, *found)
        if path == "/":
            return HTMLResponse(_HOME) if self._has_homepage else Response(status_code=204)
        return Response(status_code=404)

    async def _invoke(self, request: Request, path: str, route: Route, values: Mapping[str, str]) -> Response:
        function = route.function
        try:
            datum = await http.request_datum(request, path, values)
        except UnicodeDecodeError:
            return Response(status_code=400)
        name = function.trigger.name
        outcome = await self._invoker.run(
            function,
            lambda: {name: decode(function.parameters[name], datum)},
            reason=_BY_REQUEST,
            finish=lambda value: http.result(encode_http(value)) if function.returns else None,
        )
        if not outcome.succeeded:
            return Response(status_code=500)
        result: http.HttpResult | None = outcome.value
        return result.response() if result else Response(status_code=200)

    async def _admin(self, request: Request, path: str) -> Response:
        if request.method == "GET" and path == "/admin/host/status":
            return JSONResponse({"state": "Running"})
        if request.method == "GET" and path == _ADMIN_FUNCTIONS:
            return JSONResponse([{"name": name} for name in self._names])
        name = path.removeprefix(_ADMIN_FUNCTIONS + "/")
        if request.method == "POST" and name != path and "/" not in name:
            return await self._fire_by_request(request, name)
        return Response(status_code=404)

    async def _fire_by_request(self, request: Request, name: str) -> Response:
        """POST /admin/functions/<name> with {"input": "..."}: 202, and the function runs."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return Response(status_code=415)
        try:
            content: Any = json.loads(await request.body())
        except ValueError:
            content = None
        if not isinstance(content, dict):
            return Response(status_code=400)
        started = await self._fire(name, str(content.get("input") or ""))
        return Response(status_code=202 if started else 404)


def _is_under(path: str, root: str) -> bool:
    return path.lower() == root or path.lower().startswith(root + "/")
