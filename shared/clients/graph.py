"""The only calls of Microsoft Graph."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from shared import telemetry
from shared.clients.answers import HttpAnswer, Unavailable, json_object
from shared.clients.http import HttpClient
from shared.clock import utc_now
from shared.errors import GraphError

T = TypeVar("T")

PROFILE_FIELDS = ("displayName", "givenName", "jobTitle", "mail", "userPrincipalName", "officeLocation")


@dataclass(frozen=True)
class Graph:
    """Microsoft Graph v1.0 for one person.

    Args:
        url: https://graph.microsoft.com, or a national cloud's ("National cloud deployments"); "" when this deployment
            has none: every call ends with `no_graph`.
        until: every call ends by then (a task's time limit).
    """

    http: HttpClient
    url: str
    access_token: str = field(repr=False)
    until: datetime | None = None
    now: Callable[[], datetime] = utc_now

    def me(self) -> dict[str, Any]:
        """Gets the person's profile: PROFILE_FIELDS. Raises GraphError."""
        return self.get("/me", {"$select": ",".join(PROFILE_FIELDS)})

    def photo(self) -> tuple[bytes, str] | None:
        """Gets the person's photo (48x48) and its media type; None when they have none. Raises GraphError."""
        try:
            answer = self._call("/me/photos/48x48/$value")
        except GraphError as error:
            if error.status == 404:
                return None
            raise
        return answer.content, answer.headers.get("content-type", "image/jpeg")

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Gets a JSON resource, by its path after /v1.0. Raises GraphError."""
        answer = self._call(f"{path}?{urlencode(params, safe='$,')}" if params else path)
        try:
            return json_object(answer)
        except Unavailable as error:
            raise GraphError(answer.status_code, error.reason) from error

    def _call(self, path: str) -> HttpAnswer:
        if not self.url:
            raise GraphError(0, "no_graph")
        seconds = None
        if self.until is not None:
            seconds = (self.until - self.now()).total_seconds()
            if seconds <= 0:
                raise GraphError(0, "out_of_time")
        headers = {"Authorization": f"Bearer {self.access_token}", "Accept": "application/json"} | telemetry.outgoing()
        try:
            answer = self.http.request(
                "GET", f"{self.url}/v1.0{path}", headers=headers, seconds=seconds, repeatable=True
            )
        except Unavailable as error:
            raise GraphError(0, error.reason) from error
        status = answer.status_code
        if status >= 300:
            raise GraphError(
                status,
                _error_code(answer),
                claims=claims_challenge(answer.headers.get("www-authenticate", "")) if status == 401 else "",
                retry_after=self.http.retry_after(answer) if status in (429, 503) else None,
                request_id=answer.headers.get("request-id", "")[:64],
            )
        return answer


def claims_challenge(header: str) -> str:
    """The claims of a WWW-Authenticate header with `error="insufficient_claims"`, as JSON text; "" when it has none.

    Source: "Claims challenges, claims requests, and client capabilities" of the Microsoft identity platform.
    """
    if "insufficient_claims" not in header or 'claims="' not in header:
        return ""
    encoded = header.split('claims="', 1)[1].split('"', 1)[0]
    try:
        text = base64.b64decode(
            encoded + "=" * (-len(encoded) % 4), altchars=b"-_" if "-" in encoded or "_" in encoded else None
        ).decode()
        return text if isinstance(json.loads(text), dict) else ""
    except ValueError:
        return ""


def answer_challenge(call: Callable[[str], T]) -> T:
    """Runs `call`, and once more with the claims when Graph refuses it with a claims challenge.

    Source: "Claims challenges, claims requests, and client capabilities" of the Microsoft identity platform.

    Args:
        call: takes claims (JSON text, "" at first), acquires a token with them and calls Graph.

    Raises:
        GraphError: the last call failed. Other errors of `call` pass through.
    """
    try:
        return call("")
    except GraphError as error:
        if not error.claims:
            raise
        claims = error.claims
    return call(claims)


def _error_code(answer: HttpAnswer) -> str:
    """Graph's `error.code` ("Microsoft Graph error responses and resource types"); "" when there is none."""
    try:
        error = json_object(answer).get("error")
    except Unavailable:
        return "unparsable"
    code = error.get("code", "") if isinstance(error, dict) else ""
    return str(code)[:80]
