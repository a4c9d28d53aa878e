"""The ASGI application: functions, the host's own paths, the home page."""

import json
import re
import secrets
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
_OWN_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?", re.IGNORECASE)
_WEBHOOK = re.compile("/runtime/webhooks/[^/]+(/.*)?", re.IGNORECASE)
_HOME = "<!DOCTYPE html><html><head><title>Functions</title></head><body>The local Functions host is running.</body>"
_BY_REQUEST = "This function was programmatically called via the host APIs."
# Starts a function by name, with an input; False when there is no such function.
Fire = Callable[[str, str], Awaitable[bool]]


class WebApp:
    """An ASGI application over an app's HTTP functions.

    Args:
        key: Opens functions that aren't anonymous and the host's own paths: the master key.

    Raises:
        IndexingError: A route that the host refuses.
    """

    def __init__(
        self,
        functions: Sequence[IndexedFunction],
        config: HostConfig,
        settings: Mapping[str, str],
        *,
        key: str,
        invoker: Invoker,
        fire: Fire,
    ) -> None:
        self._key = key
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
            # A page whose name an attacker points at 127.0.0.1 (DNS rebinding) is of the same origin for a browser, and
            # these paths need no key. ASP.NET Core's host filtering answers 400, too ("Kestrel: host filtering").
            if not _OWN_HOST.fullmatch(request.headers.get("host", "")):
                return Response(status_code=400)
            return await self._admin(request, path.lower())
        if _is_under(path, "/runtime"):
            # No extension of ours takes webhooks.
            return Response(status_code=401 if _WEBHOOK.fullmatch(path) and not self._has_key(request) else 404)
        found = self.router.find(request.method, path)
        if found is not None:
            return await self._invoke(request, path, *found)
        if path == "/":
            return HTMLResponse(_HOME) if self._has_homepage else Response(status_code=204)
        return Response(status_code=404)

    def _has_key(self, request: Request) -> bool:
        """The header wins over the query (azure-functions-host, AuthenticationLevelHandler.cs)."""
        codes = request.query_params.getlist("code") or [""]
        given = request.headers.get("x-functions-key", codes[0])
        return secrets.compare_digest(given.encode(), self._key.encode())

    async def _invoke(self, request: Request, path: str, route: Route, values: Mapping[str, str]) -> Response:
        function = route.function
        if str(function.trigger.properties.get("authLevel")).lower() != "anonymous" and not self._has_key(request):
            return Response(status_code=401)
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
        """The host's own paths, in lower case (azure-functions-host, HostController.cs and FunctionsController.cs)."""
        if path in ("/admin/host/ping", "/admin/warmup"):
            return Response(status_code=200)
        name = path.removeprefix(_ADMIN_FUNCTIONS + "/")
        if request.method == "POST" and name != path and "/" not in name:
            return await self._fire_by_request(request, name)
        if request.method != "GET" or path not in ("/admin/host/status", _ADMIN_FUNCTIONS):
            return Response(status_code=404)
        if not self._has_key(request):
            return Response(status_code=401)
        if path == _ADMIN_FUNCTIONS:
            return JSONResponse([{"name": each} for each in self._names])
        return JSONResponse({"state": "Running"})

    async def _fire_by_request(self, request: Request, name: str) -> Response:
        """POST /admin/functions/<name> with {"input": "..."}: 202, and the function runs.

        No key is needed: Core Tools, whose command this is, lets everybody in unless it is started with `--enableAuth`
        (azure-functions-core-tools, CliAuthenticationHandler.cs).
        """
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
