"""The sample API over HTTP, with bearer tokens (RFC 6750) for its own audience and scopes.

GET    /sample-api/items        the person's items by ID
PUT    /sample-api/items/{id}   201 for a new item, else 200; the same twice changes nothing
DELETE /sample-api/items/{id}   204, also when it is gone
"""

import json
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localdev.tenant.apps import SAMPLE_API_CLIENT_ID
from localdev.tenant.bearer import BearerRefused, read_bearer
from localdev.tenant.tenancy import Tenancy

PATH = "/sample-api"
_READ, _WRITE = ("Items.Read", "Items.ReadWrite"), ("Items.ReadWrite",)


class SampleApi:
    """The handlers."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy, self._items = tenancy, tenancy.items

    def routes(self) -> list[Route]:
        """Where they are served."""
        return [
            Route(f"{PATH}/items", self.list, methods=["GET"]),
            Route(f"{PATH}/items/{{item:path}}", self.change, methods=["PUT", "DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        """GET: the person's items."""
        return self._answer(request, _READ, lambda username: JSONResponse(self._items.of(username)))

    async def change(self, request: Request) -> Response:
        """PUT and DELETE: one item."""
        body, identity = await request.body(), str(request.path_params["item"])

        def work(username: str) -> Response:
            if request.method == "DELETE":
                self._items.delete(username, identity)
                return Response(status_code=204)
            try:
                value = json.loads(body)
            except ValueError:
                return JSONResponse({"error": "send JSON"}, 400)
            done = self._items.put(username, identity, value)
            return JSONResponse({"id": identity, "done": done}, 201 if done == "created" else 200)

        return self._answer(request, _WRITE, work)

    def _answer(self, request: Request, scopes: tuple[str, ...], work: Callable[[str], Response]) -> Response:
        try:
            person, claims = read_bearer(
                self._tenancy,
                request.headers.get("authorization", ""),
                lambda audience: audience == SAMPLE_API_CLIENT_ID,
            )
        except BearerRefused as error:
            return self._refuse(401, "invalid_token", str(error))
        if not set(scopes) & set(str(claims["scp"]).split()):
            return self._refuse(403, "insufficient_scope", f"one of {' '.join(scopes)} is needed")
        path = request.url.path.removeprefix(PATH)
        fault = self._tenancy.faults.take("api", person.username, method=request.method, path=path)
        return self._tenancy.faults.answer(fault, lambda: work(person.username))

    def _refuse(self, status: int, error: str, text: str) -> Response:
        self._items.count("refused")
        headers = {"WWW-Authenticate": f'Bearer error="{error}", error_description="{text}"'}
        return JSONResponse({"error": error}, status, headers)
