"""Verifies tokens that others present: the id token at the end of a sign-in, and bearer tokens.

MSAL validates no id token, so this module does: the signature by the authority's keys, the issuer (for many tenants it
is a template), the audience and the times. Sources: OpenID Connect Core 1.0, 2 and 3.1.3.7; RFC 9068, 4; "Access tokens
in the Microsoft identity platform: validate tokens".

Accepted are RS256, which every provider has (OpenID Connect Core 1.0, 15.1), PS256, ES256, ES384 and EdDSA with
Ed25519 (RFC 7518, 3.1; RFC 8037, 3.1). Refused are HS256, whose key the client knows too, and `none`.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import jwt
from jwt.exceptions import PyJWTError

from shared.clients.answers import HttpAnswer, Unavailable, json_object
from shared.identity.metadata import Metadata

_SKEW_SECONDS = 120
_KEYS_SECONDS = 24 * 3600.0
_STALE_KEYS_SECONDS = 24 * 3600.0  # longer than _KEYS_SECONDS, while the authority is down
_NEW_KEYS_AT_MOST_EVERY = 60.0
# By algorithm, the type and the curve of its keys (RFC 7518, 6; RFC 8037, 2).
_ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
}
_SHORTEST_RSA_KEY = 2048  # bits: RFC 7518, 3.3
_LONGEST_TOKEN = 16 * 1024
_LONGEST_SUBJECT = 255  # OpenID Connect Core 1.0, 2
_ID_TOKEN_TYPES = ("jwt",)
_ACCESS_TOKEN_TYPES = ("jwt", "at+jwt")  # Entra's, and RFC 9068's
# PyJWT checks the signature; `verify` checks the claims itself, with a word for each refusal.
_SIGNATURE_ONLY: Any = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_sub": False,
}

# A published key (RFC 7517, 4), and the key for one algorithm. Its `issuer` is Entra's addition: the issuer that it
# signs for, a template like the authority's own.
_Published = Mapping[str, Any]


class TokenRefused(Exception):
    """A token is not valid here. shared/identity translates it into a RequestRefused.

    Attributes:
        reason: `oversized`, `malformed`, `algorithm`, `type`, `unknown_key`, `weak_key`, `signature`, `expired`,
            `not_yet_valid`, `audience`, `version`, `issuer` or `claims`; or another word of bearer.py.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Verifier:
    """Verifies tokens of one authority.

    Args:
        document: returns the discovery document of the authority whose tokens are accepted.
        tenants: has the authority tenants? Then a token's issuer must be the one of its `tid`.
        now: POSIX seconds.
    """

    def __init__(
        self,
        metadata: Metadata,
        document: Callable[[], Mapping[str, Any]],
        *,
        tenants: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._metadata = metadata
        self._document = document
        self._tenants = tenants
        self._now = now
        self._lock = threading.Lock()
        self._parsed: tuple[object, list[_Published]] = (None, [])
        self._keys: dict[tuple[int, str], jwt.PyJWK] = {}

    def verify_access_token(self, token: str, *, audience: Sequence[str], version: str = "") -> dict[str, Any]:
        """Returns the claims of a bearer token that the authority signed, for one of `audience`, and that is valid now.

        Args:
            version: the required version of Entra's token format (`ver`); "" allows any.

        Raises:
            TokenRefused: with the reason.
            Throttled, Unavailable: the authority's keys can't be fetched.
        """
        claims, key_issuer = self._read(token, types=_ACCESS_TOKEN_TYPES)
        if not any(each in audience for each in _audiences(claims)):
            raise TokenRefused("audience")
        if version and claims.get("ver") != version:
            raise TokenRefused("version")
        self._check_issuer(claims, key_issuer)
        return claims

    def verify_id_token(self, token: str, *, client_id: str) -> dict[str, Any]:
        """Returns the claims of an id token that the authority signed for this client alone, and that is valid now.

        No other audience is trusted. The authorized party (`azp`) is this client, and must be named beside several
        audiences (OpenID Connect Core 1.0, 3.1.3.7). The caller compares the nonce.

        Raises:
            TokenRefused: with the reason.
            Throttled, Unavailable: the authority's keys can't be fetched.
        """
        claims, key_issuer = self._read(token, types=_ID_TOKEN_TYPES)
        audiences = _audiences(claims)
        if not audiences or any(each != client_id for each in audiences):
            raise TokenRefused("audience")
        if ("azp" in claims or len(audiences) > 1) and claims.get("azp") != client_id:
            raise TokenRefused("audience")
        self._check_issuer(claims, key_issuer)
        return claims

    def _read(self, token: str, *, types: Sequence[str]) -> tuple[dict[str, Any], str]:
        """The claims of a token of one of these types, signed, in time and about somebody; and its key's issuer."""
        algorithm, kid = _named_key(token, types)
        key, key_issuer = self._find_key(algorithm, kid)
        if key.key_type == "RSA" and key.key.key_size < _SHORTEST_RSA_KEY:
            raise TokenRefused("weak_key")
        try:
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=[algorithm], options=_SIGNATURE_ONLY)
        except PyJWTError as error:
            raise TokenRefused("signature") from error
        self._check_times(claims)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
            raise TokenRefused("claims")
        return claims, key_issuer

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        expires, starts = claims.get("exp"), claims.get("nbf", claims.get("iat"))
        if not isinstance(expires, (int, float)) or not isinstance(starts, (int, float)):
            raise TokenRefused("claims")
        if expires <= self._now() - _SKEW_SECONDS:
            raise TokenRefused("expired")
        if starts > self._now() + _SKEW_SECONDS:
            raise TokenRefused("not_yet_valid")

    def _check_issuer(self, claims: Mapping[str, Any], key_issuer: str) -> None:
        """Raises TokenRefused unless the authority is the issuer, for the token's own tenant and with a key of its."""
        tenant_id = str(claims.get("tid", ""))
        issuer = str(self._document().get("issuer", ""))
        issuer, key_issuer = (each.replace("{tenantid}", tenant_id) for each in (issuer, key_issuer))
        if claims.get("iss") != issuer or key_issuer not in ("", issuer):
            raise TokenRefused("issuer")
        if self._tenants and (not tenant_id or tenant_id not in urlsplit(issuer).path.split("/")):
            raise TokenRefused("issuer")

    def _find_key(self, algorithm: str, kid: str | None) -> tuple[jwt.PyJWK, str]:
        """The authority's key of this id, for this algorithm, and the issuer that it signs for.

        One that is not known is looked for again at once, as the authority may have changed its keys; but at most once
        a minute, as anybody can make up an id. Who presents a known key never waits for that: the keys are served for
        a day longer than they should, while there are no newer ones.
        """
        url = str(self._document().get("jwks_uri", ""))
        if not url:
            raise Unavailable("unparsable")
        began = self._metadata.clock()
        answer = self._metadata.get(url, max_age=_KEYS_SECONDS, stale=_STALE_KEYS_SECONDS)
        found = self._match(answer, algorithm, kid)
        if found is None:
            answer = self._metadata.look_again(url, since=began, every=_NEW_KEYS_AT_MOST_EVERY)
            found = self._match(answer, algorithm, kid)
        if found is None:
            raise TokenRefused("unknown_key")
        return found

    def _match(self, answer: HttpAnswer, algorithm: str, kid: str | None) -> tuple[jwt.PyJWK, str] | None:
        """The key in this document. A token that names no key needs a single one that fits (OpenID Connect Core 1.0,
        10.1)."""
        with self._lock:
            if self._parsed[0] is not answer:
                self._parsed, self._keys = (answer, _published(json_object(answer))), {}
            fitting = [
                (number, each)
                for number, each in enumerate(self._parsed[1])
                if _fits(each, algorithm) and (kid is None or ("kid" in each and str(each["kid"]) == kid))
            ]
            if not fitting or (kid is None and len(fitting) > 1):
                return None
            number, published = fitting[0]
            try:
                key = self._keys.get((number, algorithm)) or jwt.PyJWK(dict(published), algorithm)
            except PyJWTError:
                return None
            self._keys[number, algorithm] = key
            return key, str(published.get("issuer", ""))


def _named_key(token: str, types: Sequence[str]) -> tuple[str, str | None]:
    """The algorithm and the id of the key that the token's header names; the id may be missing (RFC 7515, 4.1.4).

    Raises:
        TokenRefused: the token is no JWS, or another kind of token (`typ`, a media type: RFC 7515, 4.1.9).
    """
    if len(token) > _LONGEST_TOKEN:
        raise TokenRefused("oversized")
    try:
        header = jwt.get_unverified_header(token)
    except PyJWTError as error:
        raise TokenRefused("malformed") from error
    algorithm, kid = str(header.get("alg")), header.get("kid")
    if algorithm not in _ALGORITHMS:
        raise TokenRefused("algorithm")
    if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in types:
        raise TokenRefused("type")
    return algorithm, None if kid is None else str(kid)


def _fits(published: _Published, algorithm: str) -> bool:
    """Is this a key for this algorithm?"""
    kty, curve = _ALGORITHMS[algorithm]
    return (
        published.get("kty") == kty and published.get("crv") == curve and published.get("alg", algorithm) == algorithm
    )


def _audiences(claims: Mapping[str, Any]) -> list[Any]:
    """`aud` as a list (RFC 7519, 4.1.3)."""
    given = claims.get("aud")
    return given if isinstance(given, list) else [given]


def _published(document: Mapping[str, Any]) -> list[_Published]:
    """The signing keys of a key set (RFC 7517, 5)."""
    keys = document.get("keys")
    if not isinstance(keys, list):
        return []
    return [each for each in keys if isinstance(each, dict) and each.get("use", "sig") == "sig"]
