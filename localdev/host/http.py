"""HTTP as the Functions host passes it to Python: requests and responses as ASP.NET Core reads and writes them.

Facts from azure-functions-host (GrpcMessageConversionExtensions.cs, RawScriptResult.cs, HttpBinding.cs).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from localdev.host import cookies
from localdev.host.bindings import Datum

_PATH_SAFE = "/:@!$&'()*+,;=~"
_ESCAPED = re.compile(r"(%[0-9A-Fa-f]{2})")
_ESCAPED_SLASH = re.compile(r"(%2[Ff])")
_AUTHORITY = re.compile(r"^https?://[^/?]*", re.IGNORECASE)
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e]")
# The server writes these itself.
_SERVERS_OWN = ("content-length", "transfer-encoding", "connection")


@dataclass(frozen=True)
class HttpResult:
    """A response that is ready to be sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def response(self) -> Response:
        """The response in Starlette's form."""
        response = Response(status_code=self.status)
        has_body = self.status >= 200 and self.status not in (204, 304)
        response.body = self.body if has_body else b""
        length = [("content-length", str(len(response.body)))] if has_body else []
        response.raw_headers = [(name.encode("ascii"), text.encode("ascii")) for name, text in [*self.headers, *length]]
        return response


def path_of(request: Request) -> str:
    """The path for routing, as Kestrel reads it: decoded except for `%2F`, then without `.` and `..` segments.

    The target may be a whole URL (RFC 9112, section 3.2.2, absolute-form).
    """
    raw = (request.scope.get("raw_path") or quote(request.scope["path"]).encode()).decode("latin-1")
    pieces = _ESCAPED_SLASH.split(_AUTHORITY.sub("", raw) or "/")
    decoded = "".join(piece if _ESCAPED_SLASH.fullmatch(piece) else unquote(piece) for piece in pieces)
    return _without_dot_segments(decoded) if "/." in decoded else decoded


async def request_datum(request: Request, path: str, route_values: Mapping[str, str]) -> Datum:
    """The datum that the worker receives for a request.

    Raises:
        UnicodeDecodeError: A header is not UTF-8; the host answers 400.
    """
    query = request.scope["query_string"].decode("latin-1")
    values = _joined(parse_qsl(query, keep_blank_values=True, errors="replace"))
    # The host reads a body only when its length is announced: a chunked one arrives empty.
    body = await request.body() if request.headers.get("content-length", "0") != "0" else b""
    headers = _joined((name.decode(), value.decode()) for name, value in request.scope["headers"])
    url = f"{request.url.scheme}://{headers.get('host', '')}{_escaped(path)}{'?' + query if query else ''}"
    return Datum(
        {
            "method": Datum(request.method, "string"),
            "url": Datum(url, "string"),
            "headers": _texts(headers),
            "query": _texts({name: value for name, value in values.items() if value}),
            "params": _texts(route_values),
            "body": Datum(body, "bytes"),
        },
        "http",
    )


def result(datum: Any) -> HttpResult:
    """The response that the host makes from the datum of the `http` converter.

    Raises:
        ValueError: A cookie's date or age, a header or the status can't be sent; the request then ends with a 500.
    """
    if datum.type == "string":
        return _from_text(datum.value)
    value = datum.value
    headers = {name: text.value for name, text in value["headers"].items()}
    return _sendable(
        int(value["status_code"].value),
        [*_distinct(headers), *(("set-cookie", text) for text in cookies.header_values(value.get("cookies") or []))],
        value["body"].value,
    )


def _without_dot_segments(path: str) -> str:
    """RFC 3986, section 5.2.4."""
    kept: list[str] = []
    segments = path[1:].split("/")
    for segment in segments:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    is_folder = segments[-1] in (".", "..") and kept
    return "/" + "/".join([*kept, ""] if is_folder else kept)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join the values of each name with commas, without the empty ones. Names ignore case; the first spelling stays."""
    spelling: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
    return {name: ",".join(value for value in several if value) for name, several in values.items()}


def _texts(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in values.items()}


def _escaped(path: str) -> str:
    pieces = _ESCAPED.split(path)
    return "".join(piece if _ESCAPED.fullmatch(piece) else quote(piece, safe=_PATH_SAFE) for piece in pieces)


def _distinct(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The host keeps the first of two spellings of one name. The worker has already merged equal spellings."""
    seen: set[str] = set()
    for name, value in headers.items():
        if name.lower() not in seen:
            seen.add(name.lower())
            yield name, value


def _from_text(text: str) -> HttpResult:
    """The response for a handler that returned a text. JSON with a `body` is a whole response, anything else a body."""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    fields = {name.lower(): value for name, value in content.items()} if isinstance(content, dict) else {}
    if "body" not in fields:
        return _sendable(200, [("content-type", "text/plain; charset=utf-8")], text.encode())
    body = fields["body"] if isinstance(fields["body"], str) else json.dumps(fields["body"])
    headers = {"content-type": "text/plain; charset=utf-8", **(fields.get("headers") or {})}
    status = fields.get("statuscode", fields.get("status", 200))
    return _sendable(int(status), [(name, str(value)) for name, value in headers.items()], body.encode())


def _sendable(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> HttpResult:
    kept = tuple((name, value) for name, value in headers if name.lower() not in _SERVERS_OWN)
    for name, value in kept:
        if _UNSENDABLE.search(name) or _UNSENDABLE.search(value):
            raise ValueError(f"the response header '{name}' has a character that can't be sent")
    if not 100 <= status <= 999:
        raise ValueError(f"{status} is not an HTTP status")
    return HttpResult(status, kept, body)
