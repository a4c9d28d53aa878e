"""Refusals in Graph's shape: Microsoft's page "Microsoft Graph error responses and resource types"."""

from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response


class GraphError(Exception):
    """A refusal. `headers` go with the answer."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}

    def answer(self) -> Response:
        """The refusal as an answer."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        body = {"error": {"code": self.code, "message": str(self), "innerError": {"date": stamp}}}
        return JSONResponse(body, self.status, self.headers)


def unauthorized(message: str, challenge: str = "Bearer") -> GraphError:
    """401 with a challenge."""
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": challenge})


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """400: the request makes no sense."""
    return GraphError(400, code, message)


def not_found() -> GraphError:
    """404 of Outlook and To Do: no item has this ID."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
