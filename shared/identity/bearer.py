"""Authenticates callers of the API by their bearer token.

verification.py checks that the authority issued the token; this module checks that it is for this API and for a person.
Sources: "Access tokens in the Microsoft identity platform: validate tokens" and "Access token claims reference".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.accounts import Person
from shared.clients.answers import Throttled, Unavailable
from shared.error_codes import code_of
from shared.errors import BearerRefused, Misconfigured, TryLater
from shared.identity.challenge import api_scope, bearer_challenge
from shared.identity.metadata import AuthorityRefused
from shared.identity.results import person_of
from shared.identity.verification import TokenRefused, Verifier
from shared.settings import Settings

_VERSION = "2.0"
_HEADER = re.compile(r"(?i:bearer) +([A-Za-z0-9\-._~+/]+=*)")

_WHY: Mapping[str, str] = {
    "missing": "Send an access token for this API in the Authorization header.",
    "malformed": "This is not a signed JSON Web Token.",
    "oversized": "The token is longer than any that the authority issues.",
    "algorithm": "The token is not signed in a way that the authority uses.",
    "type": "The token's header names another type than an access token has.",
    "unknown_key": "The token is signed with a key that the authority does not publish.",
    "weak_key": "The token is signed with an RSA key of fewer than 2048 bits.",
    "signature": "The signature of the token is wrong.",
    "claims": "The token lacks claims that an access token for a person must have.",
    "expired": "The token has expired.",
    "not_yet_valid": "The token is not valid yet. Check the clock of whoever issued it.",
    "audience": "The token is for another API.",
    "version": "The token has another version than 2.0. Set requestedAccessTokenVersion to 2 in the app registration.",
    "issuer": "The token is from another issuer.",
    "tenant": "The organisation that the token is from may not use this API.",
    "id_token": "This is an ID token, which speaks to the app that asked for it. Send an access token.",
    "app_only": "The token is an app's own. This API acts for people: somebody must sign in.",
    "scope": "The token does not carry the scope that is needed here.",
    "client": "The app that got this token may not use it here.",
}
_WANTS_SCOPE = ("app_only", "scope")
_NOT_ENOUGH = (*_WANTS_SCOPE, "client")


@dataclass(frozen=True, slots=True)
class Caller:
    """The person in whose name the API was called.

    Attributes:
        token: the access token for this API that the client sent.
    """

    person: Person
    token: str = field(repr=False)


class BearerTokens:
    """Checks the bearer tokens of API requests."""

    def __init__(self, settings: Settings, verifier: Verifier) -> None:
        self._settings = settings
        self._verifier = verifier
        self._audience = (settings.client_id, f"api://{settings.client_id}")

    def authenticate(self, authorization: str, *, scope: str = "", clients: Sequence[str] = ()) -> Caller:
        """Returns who calls, by the Authorization header.

        Args:
            scope: the name of the scope that the token must carry; default: API_SCOPE.
            clients: the client IDs, in lower case, one of which must have got the token; empty: any.

        Raises:
            BearerRefused: its `code` is "token_" and the reason.
            TryLater, Misconfigured: the authority's keys can't be fetched.
        """
        try:
            token = _token_in(authorization)
            claims = self._verifier.verify_access_token(token, audience=self._audience, version=_VERSION)
            self._check_delegated(claims, scope or self._settings.api_scope)
            if clients and str(claims.get("azp") or claims.get("appid") or "").lower() not in clients:
                raise TokenRefused("client")
        except TokenRefused as error:
            raise self._refusal(error.reason, scope) from error
        except Throttled as error:
            raise TryLater("throttled", retry_after=error.after) from error
        except AuthorityRefused as error:
            raise Misconfigured(code_of(error.answer)) from error
        except Unavailable as error:
            raise TryLater(error.reason, retry_after=getattr(error, "after", None)) from error
        return Caller(person_of(claims), token)

    def _check_delegated(self, claims: Mapping[str, Any], scope: str) -> None:
        """Raises TokenRefused unless the token lets a person of an admitted tenant use `scope`.

        A token whose `idtyp` is another than "user" is an app's own, whatever else it carries. One without delegated
        scopes is an app's own, an ID token, or a person's with too little. ID tokens name no client (`azp`); in an
        app's own token the subject is the app's object in the directory.
        """
        tenant = str(claims.get("tid", ""))
        if not tenant or not claims.get("oid"):
            raise TokenRefused("claims")
        if not self._settings.admits(tenant):
            raise TokenRefused("tenant")
        if claims.get("idtyp", "user") != "user":  # "user" with the optional claim's `include_user_token`
            raise TokenRefused("app_only")
        scopes = claims.get("scp")
        if not scopes:
            if not claims.get("azp"):
                raise TokenRefused("id_token")
            of_app = claims.get("sub") == claims["oid"] or claims.get("roles")
            raise TokenRefused("app_only" if of_app else "scope")
        if scope not in str(scopes).split():
            raise TokenRefused("scope")

    def _refusal(self, reason: str, scope: str) -> BearerRefused:
        why = _WHY[reason]
        if reason == "missing":  # a request without credentials gets no error code (RFC 6750, 3.1)
            return BearerRefused(why, challenge=bearer_challenge(self._settings), code="token_missing")
        enough = reason not in _NOT_ENOUGH
        challenge = bearer_challenge(
            self._settings,
            error="invalid_token" if enough else "insufficient_scope",
            description=why,
            scope=api_scope(self._settings, scope) if reason in _WANTS_SCOPE else "",
        )
        return BearerRefused(why, challenge=challenge, code=f"token_{reason}", status=401 if enough else 403)


def _token_in(authorization: str) -> str:
    """The token of `Bearer <token>` (RFC 6750, 2.1). Another scheme counts as a missing token."""
    if not re.match(r"(?i)bearer( |$)", authorization):
        raise TokenRefused("missing")
    found = _HEADER.fullmatch(authorization)
    if not found:
        raise TokenRefused("malformed")
    return found[1]
