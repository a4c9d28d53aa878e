"""What MSAL is given as its `http_client`, for one acquisition.

It keeps from MSAL what MSAL can't handle: 429, 5xx and unreadable answers are raised (shared/clients/http.py), success
answers of an odd shape never reach the token cache, and a half-read answer never reaches MSAL's log. It also adds what
MSAL misses: a plain OpenID provider may leave the id_token out of a refresh answer (OpenID Connect Core 1.0, 12.2).
MSAL would then file the access token under no account at all.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from requests import RequestException

from shared import telemetry
from shared.clients.http import HttpAnswer, HttpClient, Throttled, Unavailable, form, json_object
from shared.identity.metadata import Metadata

_MOST_DIGITS = 9
_PASSING_ERRORS = ("temporarily_unavailable", "server_error")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request (RFC 6749, 4.1.3 and 6) as MSAL composed it. The body holds secrets."""

    url: str
    grant_type: str
    headers: Mapping[str, str | None] = field(repr=False)
    body: bytes = field(repr=False)


class TokenRequestHeld(Exception):
    """MSAL wants to send a token request. Not a RequestException: MSAL lets it pass.

    Attributes:
        request: what it wants to send.
    """

    def __init__(self, request: TokenRequest) -> None:
        super().__init__("a token request is held")
        self.request = request


class MsalHttpClient:
    """MSAL's `http_client` for one person.

    Args:
        id_token: the stored one, carried into refresh answers that have none.
        holds_requests: a token request is not sent; TokenRequestHeld is raised until `answer` is set.
        repeatable: may a refresh be sent once more when the connection broke? Only where refresh tokens can be used
            again. With strict rotation, a second use of one that did arrive revokes the whole family.

    Attributes:
        answer: what came of the held request. MSAL gets it for every token request: it would try an older refresh
            token after a refusal, and one acquisition sends one request only.
    """

    def __init__(
        self,
        http: HttpClient,
        metadata: Metadata,
        *,
        id_token: str = "",
        holds_requests: bool = False,
        repeatable: bool = False,
    ) -> None:
        self._http = http
        self._metadata = metadata
        self._id_token = id_token
        self._holds_requests = holds_requests
        self._repeatable = repeatable
        self.answer: HttpAnswer | RequestException | None = None

    def get(self, url: str, *, params: Mapping[str, str] | None = None, **_: Any) -> HttpAnswer:
        """Discovery."""
        return self._metadata.get(f"{url}?{urlencode(params)}" if params else url)

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> HttpAnswer:
        """A token request. Raises TokenRequestHeld, Throttled, Unavailable."""
        fields = dict(data or {})
        request = TokenRequest(
            url=f"{url}?{urlencode(params)}" if params else url,
            grant_type=str(fields.get("grant_type", "")),
            headers={**(headers or {}), "Content-Type": "application/x-www-form-urlencoded"},
            body=form(fields),
        )
        if not self._holds_requests:
            return self.send(request)
        if self.answer is None:
            raise TokenRequestHeld(request)
        if isinstance(self.answer, RequestException):
            raise self.answer
        return self.answer

    def send(self, request: TokenRequest) -> HttpAnswer:
        """Sends it; gives an answer that MSAL can use. Raises Throttled, Unavailable."""
        refreshing = request.grant_type == "refresh_token"
        with telemetry.token_request(request.grant_type) as answered:
            answer = self._http.request(
                "POST",
                request.url,
                headers=request.headers,
                body=request.body,
                repeatable=refreshing and self._repeatable,
            )
            answered(answer.status_code)
        return self._usable(answer, refreshing=refreshing)

    def close(self) -> None:
        """Called by MSAL. The connection pool belongs to the process and stays open."""

    def _usable(self, answer: HttpAnswer, *, refreshing: bool) -> HttpAnswer:
        if answer.status_code == 429:
            raise Throttled(self._http.retry_after(answer))
        if answer.status_code >= 500:
            raise Unavailable(f"http_{answer.status_code}")
        body = json_object(answer)
        if "error" in body:
            if body["error"] in _PASSING_ERRORS:
                raise Unavailable(str(body["error"]))
            return HttpAnswer(answer.status_code, answer.headers, json.dumps(_error_answer(body)).encode())
        if answer.status_code != 200 or not _is_token_answer(body):
            raise Unavailable("unparsable")
        whole = {name: value for name, value in body.items() if value != ""}  # MSAL decodes whatever is there
        if refreshing and self._id_token:
            whole.setdefault("id_token", self._id_token)
        return answer if whole == body else HttpAnswer(answer.status_code, answer.headers, json.dumps(whole).encode())


def _error_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """An error answer with texts where MSAL expects texts (RFC 6749, 5.2), and Entra's numbers."""
    texts = {name: value for name, value in body.items() if isinstance(value, str)}
    if "error" not in texts:
        raise Unavailable("unparsable")
    numbers = body.get("error_codes")
    return texts | ({"error_codes": numbers} if isinstance(numbers, list) else {})


def _is_token_answer(body: Mapping[str, Any]) -> bool:
    """Has it the shape that MSAL takes for granted (RFC 6749, 5.1)?"""
    texts = ("access_token", "token_type", "refresh_token", "scope", "id_token", "client_info")
    numbers = ("expires_in", "ext_expires_in", "refresh_in")
    return (
        bool(body.get("access_token"))
        and all(_is_text(body.get(name, "")) for name in texts)
        and all(_is_number(body.get(name, 0)) for name in numbers)
        and isinstance(body.get("refresh_in", 0), int)
        and (not body.get("id_token") or _json_in(body["id_token"].split(".")[1:2]))
        and (not body.get("client_info") or _json_in([body["client_info"]]))
    )


def _is_text(value: object) -> bool:
    """RFC 6749, appendix A: printable ASCII. Anything else could not go into a header, or into a row."""
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _is_number(value: object) -> bool:
    """Seconds, as a number or (some providers) as text; not more than fit into a date."""
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_MOST_DIGITS


def _json_in(parts: list[str]) -> bool:
    """Is there a part, and is it base64url of a JSON object?"""
    try:
        return bool(parts) and isinstance(
            json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4))), dict
        )
    except ValueError:
        return False
