"""MSAL's `http_client` for one acquisition.

It checks each token answer before MSAL sees it. 429, 5xx and answers that can't be read are raised as exceptions
(shared/clients/http.py), so that MSAL neither hides them nor logs them, and nothing malformed gets into the token
cache. An OpenID provider may leave the id_token out of a refresh answer (OpenID Connect Core 1.0, 12.2), and MSAL would
then file the access token under no account: the stored id_token is added.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from requests import RequestException

from shared import telemetry
from shared.accounts import Outcome
from shared.clients.answers import HttpAnswer, Throttled, Unavailable, json_object
from shared.clients.http import HttpClient, form
from shared.error_codes import outcome_of
from shared.identity.authority import ENTRAS_PARAMETERS, Authority
from shared.identity.client_authentication import ClientAuthentication, present_secret
from shared.identity.metadata import Metadata

_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request (RFC 6749, 4.1.3 and 6) as MSAL composed it. Headers and body hold secrets.

    Attributes:
        authentication: the way in which it presents the client's secret (client_authentication.py); "" for MSAL's.
        otherwise: the same request with the secret presented in another way, for a provider that refuses this one.
    """

    url: str
    grant_type: str
    headers: Mapping[str, str | None] = field(repr=False)
    body: bytes = field(repr=False)
    authentication: str = ""
    otherwise: "TokenRequest | None" = None


class TokenRequestHeld(Exception):
    """MSAL needs a token request, which has not been sent. No RequestException, so MSAL does not catch it.

    Attributes:
        request: the request to send.
    """

    def __init__(self, request: TokenRequest) -> None:
        super().__init__("a token request is held")
        self.request = request


class MsalHttpClient:
    """MSAL's `http_client` for one person.

    Args:
        id_token: the stored one, which is added to refresh answers that have none.
        holds_requests: `post` sends nothing; it raises TokenRequestHeld until `answer` is set.
        repeatable: may a refresh be sent once more when the connection broke? Only where a refresh token works more
            than once: with strict rotation, its second use revokes the whole family.
        authentication: how a plain OpenID provider gets the client's secret.

    A refresh asks a plain OpenID provider for what was granted, by naming no scope (RFC 6749, 6). MSAL adds `openid
    profile offline_access` (`_decorate_scope`, msal/application.py), of which a person may have granted none; one scope
    too many is refused with `invalid_scope`. Entra's `claims` and `client_info` are not sent to it either.

    Attributes:
        answer: the answer to the held request, or its failure. MSAL gets it for every token request: one acquisition
            sends one, although MSAL would try an older refresh token after a refusal.
    """

    def __init__(
        self,
        http: HttpClient,
        metadata: Metadata,
        authority: Authority,
        authentication: ClientAuthentication,
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
        self._authority = authority
        self._authentication = authentication
        self.answer: HttpAnswer | RequestException | None = None

    def get(self, url: str, *, params: Mapping[str, str] | None = None, **_: Any) -> HttpAnswer:
        """Returns a discovery document. Raises Throttled, Unavailable."""
        if self._authority.is_plain:
            return self._authority.published()
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
        """Sends or holds a token request. Raises TokenRequestHeld, Throttled, Unavailable."""
        fields = dict(data or {})
        if self._authority.is_plain:
            unknown = ENTRAS_PARAMETERS + (("scope",) if fields.get("grant_type") == "refresh_token" else ())
            fields = {name: value for name, value in fields.items() if name not in unknown}
        target = f"{url}?{urlencode(params)}" if params else url
        request: TokenRequest | None = None
        for way in reversed(self._authentication.ways() or ("",)):
            form_fields, secret = present_secret(way, fields)
            request = TokenRequest(
                url=target,
                grant_type=str(fields.get("grant_type", "")),
                headers={**(headers or {}), **secret, "Content-Type": "application/x-www-form-urlencoded"},
                body=form(form_fields),
                authentication=way,
                otherwise=request,
            )
        assert request is not None
        if not self._holds_requests:
            return self.send(request)
        if self.answer is None:
            raise TokenRequestHeld(request)
        if isinstance(self.answer, RequestException):
            raise self.answer
        return self.answer

    def send(self, request: TokenRequest) -> HttpAnswer:
        """Sends a token request. Returns an answer that MSAL can use.

        Raises:
            Throttled: 429.
            Unavailable: no answer, a passing fault, or an answer that can't be read.
        """
        refreshing = request.grant_type == "refresh_token"
        answer = self._send_once(request)
        while request.otherwise and _is_unauthenticated(answer):
            request = request.otherwise
            answer = self._send_once(request)
        body = json_object(answer)
        if "error" in body:
            if outcome_of({"error": body["error"]}) is Outcome.UNAVAILABLE:
                raise Unavailable(str(body["error"]))
            return HttpAnswer(answer.status_code, answer.headers, json.dumps(_error_answer(body)).encode())
        if answer.status_code != 200 or not _is_token_answer(body):
            raise Unavailable("unparsable")
        if refreshing and _names_another(body.get("id_token"), self._id_token):
            raise Unavailable("other_person")
        if request.authentication:
            self._authentication.note_success(request.authentication)
        whole = {name: value for name, value in body.items() if value != ""}  # MSAL decodes even an empty id_token
        if refreshing and self._id_token:
            whole.setdefault("id_token", self._id_token)
        return answer if whole == body else HttpAnswer(answer.status_code, answer.headers, json.dumps(whole).encode())

    def _send_once(self, request: TokenRequest) -> HttpAnswer:
        repeatable = request.grant_type == "refresh_token" and self._repeatable
        with telemetry.token_request(request.grant_type) as answered:
            answer = self._http.request(
                "POST", request.url, headers=request.headers, body=request.body, repeatable=repeatable
            )
            answered(answer.status_code)
        if answer.status_code == 429:
            raise Throttled(self._http.retry_after(answer))
        if answer.status_code >= 500:
            raise Unavailable(f"http_{answer.status_code}")
        return answer

    def close(self) -> None:
        """Does nothing: the connection pool belongs to the process. MSAL expects the method."""


def _is_unauthenticated(answer: HttpAnswer) -> bool:
    """Does the token endpoint refuse the client itself? With 401 for a secret in a header, and with invalid_client
    (RFC 6749, 5.2)."""
    if answer.status_code not in (400, 401):
        return False
    return answer.status_code == 401 or b'"invalid_client"' in answer.content


def _error_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """The error answer with its texts (RFC 6749, 5.2) and Entra's `error_codes`; MSAL expects texts."""
    texts = {name: value for name, value in body.items() if isinstance(value, str)}
    if "error" not in texts:
        raise Unavailable("unparsable")
    numbers = body.get("error_codes")
    return texts | ({"error_codes": numbers} if isinstance(numbers, list) else {})


def _is_token_answer(body: Mapping[str, Any]) -> bool:
    """Has the answer the shape that MSAL takes for granted (RFC 6749, 5.1)?"""
    texts = ("access_token", "token_type", "refresh_token", "scope", "id_token", "client_info")
    numbers = ("expires_in", "ext_expires_in", "refresh_in")
    return (
        bool(body.get("access_token"))
        and all(_is_text(body.get(name, "")) for name in texts)
        and all(_is_number(body.get(name, 0)) for name in numbers)
        and isinstance(body.get("refresh_in", 0), int)
        and (not body.get("id_token") or _holds_json(body["id_token"].split(".")[1:2]))
        and (not body.get("client_info") or _holds_json([body["client_info"]]))
    )


def _is_text(value: object) -> bool:
    """Printable ASCII (RFC 6749, appendix A). Nothing else can go into a header, or into a row."""
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _is_number(value: object) -> bool:
    """Seconds, as a number or (some providers) as text; few enough digits for a date."""
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_MOST_DIGITS


def _names_another(new: str | None, stored: str) -> bool:
    """Is the new id token about somebody else than the stored one (OpenID Connect Core 1.0, 12.2)? Subjects of two
    issuers say nothing about each other: a guest has one in each tenant."""
    if not new or not stored:
        return False
    ours, theirs = _claims(stored), _claims(new)
    return ours.get("iss") == theirs.get("iss") and ours.get("sub") != theirs.get("sub")


def _claims(token: str) -> Mapping[str, Any]:
    """The claims of a token, unverified; none when it can't be read."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _holds_json(parts: list[str]) -> bool:
    """Is there a first part, and is it a JSON object in base64url?"""
    try:
        return bool(parts) and isinstance(
            json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4))), dict
        )
    except ValueError:
        return False
