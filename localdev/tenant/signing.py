"""The tenant's signing key: makes and checks JWTs, and publishes its public half."""

import hashlib
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localdev.tenant.encoding import base64url


class SigningKey:
    """One RSA key, RS256, as Entra's."""

    def __init__(self, pem: str) -> None:
        key = serialization.load_pem_private_key(pem.encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("an RSA key is needed")
        self._key = key
        numbers = key.public_key().public_numbers()
        self._modulus = numbers.n.to_bytes(key.key_size // 8, "big")
        self._exponent = numbers.e.to_bytes(3, "big")
        self.kid = base64url(hashlib.sha256(self._modulus).digest()[:20])

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """The key that checks its JWTs."""
        return self._key.public_key()

    def sign(self, claims: dict[str, Any], *, typ: str = "JWT") -> str:
        """A signed JWT."""
        headers = {"typ": typ, "kid": self.kid, "x5t": self.kid}
        return jwt.encode(claims, self._key, algorithm="RS256", headers=headers)

    def jwk(self, issuer: str) -> dict[str, str]:
        """The public half, for a keys endpoint."""
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": base64url(self._modulus),
            "e": base64url(self._exponent),
            "issuer": issuer,
        }

    def verified(self, token: str) -> dict[str, Any] | None:
        """The claims if our key signed the token, or None. The caller checks times and audience."""
        try:
            return dict(
                jwt.decode(
                    token,
                    self.public_key,
                    algorithms=["RS256"],
                    options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
                )
            )
        except (jwt.InvalidTokenError, ValueError):
            return None
