"""Checks tokens that others show us: the id token at the end of a sign-in, and bearer tokens.

OpenID Connect Core 1.0, 3.1.3.7; RFC 9068; "Access tokens in the Microsoft identity platform: validate tokens". MSAL
validates no id token, so we do: signature by the authority's keys, issuer (also where it is a template), audience,
times.
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

# The key, and for whom it signs (a template, as the authority's issuer): Entra's own addition to RFC 7517.
_Key = tuple[jwt.PyJWK, str]


class TokenRefused(Exception):
    """A token is not to be trusted. Never leaves shared/identity but as a RequestRefused.

    Attributes:
        reason: a word: `oversized`, `malformed`, `algorithm`, `unknown_key`, `signature`, `expired`, `not_yet_valid`,
            `audience`, `version`, `issuer`, `claims`; and those of bearer.py.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Verifier:
    """Verifies tokens of one authority.

    Args:
        discovery_url: of the authority's OpenID configuration.
        now: POSIX seconds.
    """

    def __init__(self, metadata: Metadata, discovery_url: str, *, now: Callable[[], float] = time.time) -> None:
        self._metadata = metadata
        self._discovery_url = discovery_url
        self._now = now
        self._lock = threading.Lock()
        self._parsed: tuple[object, dict[str, _Key]] = (None, {})

    def verify(self, token: str, *, audience: Sequence[str], version: str = "") -> dict[str, Any]:
        """The claims of a token that is signed by the authority, for one of `audience`, and valid now.

        Args:
            version: of Entra's token format (`ver`), when only one will do: others have another issuer.

        Raises:
            TokenRefused: with the reason.
            Throttled, Unavailable: the authority's keys can't be had.
        """
        key, key_issuer = self._key(_header(token))
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                },
            )
        except PyJWTError as error:
            raise TokenRefused("signature") from error
        self._check(claims, audience)
        if version and claims.get("ver") != version:
            raise TokenRefused("version")
        if claims.get("iss") not in self._issuers(claims, key_issuer):
            raise TokenRefused("issuer")
        return claims

    def _check(self, claims: Mapping[str, Any], audience: Sequence[str]) -> None:
        expires, starts = claims.get("exp"), claims.get("nbf", claims.get("iat"))
        if not isinstance(expires, (int, float)) or not isinstance(starts, (int, float)):
            raise TokenRefused("claims")
        if expires <= self._now() - _SKEW_SECONDS:
            raise TokenRefused("expired")
        if starts > self._now() + _SKEW_SECONDS:
            raise TokenRefused("not_yet_valid")
        given = claims.get("aud")
        if not any(each in audience for each in (given if isinstance(given, list) else [given])):
            raise TokenRefused("audience")

    def _issuers(self, claims: Mapping[str, Any], key_issuer: str) -> set[str]:
        """The issuer that this token must name, a multi-tenant authority's being a template; none when its key signs
        for another."""
        document = json_object(self._metadata.get(self._discovery_url))
        issuer = str(document.get("issuer", "")).replace("{tenantid}", str(claims.get("tid", "")))
        keys = key_issuer.replace("{tenantid}", str(claims.get("tid", "")))
        return {issuer} if keys in ("", issuer) else set()

    def _key(self, header: Mapping[str, Any]) -> _Key:
        if header.get("alg") not in _ALGORITHMS:
            raise TokenRefused("algorithm")
        key = self._keys(_KEYS_SECONDS).get(str(header.get("kid")))
        if key is None:
            key = self._keys(_NEW_KEYS_AT_MOST_EVERY).get(str(header.get("kid")))
        if key is None:
            raise TokenRefused("unknown_key")
        return key

    def _keys(self, max_age: float) -> dict[str, _Key]:
        document = json_object(self._metadata.get(self._discovery_url))
        answer = self._metadata.get(str(document.get("jwks_uri", "")), max_age=max_age)
        with self._lock:
            if self._parsed[0] is not answer:
                self._parsed = (answer, _parsed_keys(json_object(answer)))
            return self._parsed[1]


def _header(token: str) -> dict[str, Any]:
    if len(token) > _LONGEST_TOKEN:
        raise TokenRefused("oversized")
    try:
        return jwt.get_unverified_header(token)
    except PyJWTError as error:
        raise TokenRefused("malformed") from error


def _parsed_keys(document: Mapping[str, Any]) -> dict[str, _Key]:
    """Signing keys by id; what PyJWT doesn't know is left out (RFC 7517, 5)."""
    keys = {}
    for each in document.get("keys", []):
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or "kid" not in each:
            continue
        try:
            keys[str(each["kid"])] = (jwt.PyJWK(each), str(each.get("issuer", "")))
        except PyJWTError:
            continue
    return keys
