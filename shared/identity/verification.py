"""Verifies tokens that others present: the id token at the end of a sign-in, and bearer tokens.

MSAL validates no id token, so this module does: the signature by the authority's keys, the issuer (for many tenants it
is a template), the audience and the times. Sources: OpenID Connect Core 1.0, 3.1.3.7; RFC 9068; "Access tokens in the
Microsoft identity platform: validate tokens".
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt
from jwt.exceptions import PyJWTError

from shared.clients.http import json_object
from shared.identity.metadata import Metadata

_SKEW_SECONDS = 120
_KEYS_SECONDS = 24 * 3600.0
_NEW_KEYS_AT_MOST_EVERY = 60.0
_ALGORITHMS = ["RS256", "PS256", "ES256"]
_LONGEST_TOKEN = 16 * 1024

# A key, and the issuer that it signs for: Entra's addition to RFC 7517. Like the authority's issuer, it is a template.
_Key = tuple[jwt.PyJWK, str]


class TokenRefused(Exception):
    """A token is not valid here. shared/identity translates it into a RequestRefused.

    Attributes:
        reason: `oversized`, `malformed`, `algorithm`, `unknown_key`, `signature`, `expired`, `not_yet_valid`,
            `audience`, `version`, `issuer` or `claims`; or another word of bearer.py.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Verifier:
    """Verifies tokens of one authority.

    Args:
        discovery_url: the address of the authority's OpenID configuration.
        now: POSIX seconds.
    """

    def __init__(self, metadata: Metadata, discovery_url: str, *, now: Callable[[], float] = time.time) -> None:
        self._metadata = metadata
        self._discovery_url = discovery_url
        self._now = now
        self._lock = threading.Lock()
        self._parsed: tuple[object, dict[str, _Key]] = (None, {})

    def verify(self, token: str, *, audience: Sequence[str], version: str = "") -> dict[str, Any]:
        """Returns the claims of a token that the authority signed, for one of `audience`, and that is valid now.

        Args:
            version: the required version of Entra's token format (`ver`); "" allows any.

        Raises:
            TokenRefused: with the reason.
            Throttled, Unavailable: the authority's keys can't be fetched.
        """
        key, key_issuer = self._find_key(token)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                options={  # only the signature: the claims are checked below, with a word for each refusal
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                },
            )
        except PyJWTError as error:
            raise TokenRefused("signature") from error
        self._check_times(claims)
        given = claims.get("aud")
        if not any(each in audience for each in (given if isinstance(given, list) else [given])):
            raise TokenRefused("audience")
        if version and claims.get("ver") != version:
            raise TokenRefused("version")
        tenant_id = str(claims.get("tid", ""))
        issuer = str(json_object(self._metadata.get(self._discovery_url)).get("issuer", ""))
        issuer, key_issuer = (each.replace("{tenantid}", tenant_id) for each in (issuer, key_issuer))
        if claims.get("iss") != issuer or key_issuer not in ("", issuer):
            raise TokenRefused("issuer")
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        expires, starts = claims.get("exp"), claims.get("nbf", claims.get("iat"))
        if not isinstance(expires, (int, float)) or not isinstance(starts, (int, float)):
            raise TokenRefused("claims")
        if expires <= self._now() - _SKEW_SECONDS:
            raise TokenRefused("expired")
        if starts > self._now() + _SKEW_SECONDS:
            raise TokenRefused("not_yet_valid")

    def _find_key(self, token: str) -> _Key:
        """The authority's key that the token's header names. A key that is not known yet is looked for once more, in a
        fresh document."""
        if len(token) > _LONGEST_TOKEN:
            raise TokenRefused("oversized")
        try:
            header = jwt.get_unverified_header(token)
        except PyJWTError as error:
            raise TokenRefused("malformed") from error
        if header.get("alg") not in _ALGORITHMS:
            raise TokenRefused("algorithm")
        for max_age in (_KEYS_SECONDS, _NEW_KEYS_AT_MOST_EVERY):
            key = self._fetch_keys(max_age).get(str(header.get("kid")))
            if key is not None:
                return key
        raise TokenRefused("unknown_key")

    def _fetch_keys(self, max_age: float) -> dict[str, _Key]:
        document = json_object(self._metadata.get(self._discovery_url))
        answer = self._metadata.get(str(document.get("jwks_uri", "")), max_age=max_age)
        with self._lock:
            if self._parsed[0] is not answer:
                self._parsed = (answer, _parsed_keys(json_object(answer)))
            return self._parsed[1]


def _parsed_keys(document: Mapping[str, Any]) -> dict[str, _Key]:
    """Signing keys by id (RFC 7517, 5), without those of a kind that PyJWT doesn't know."""
    keys = {}
    for each in document.get("keys", []):
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or "kid" not in each:
            continue
        try:
            keys[str(each["kid"])] = (jwt.PyJWK(each), str(each.get("issuer", "")))
        except PyJWTError:
            continue
    return keys
