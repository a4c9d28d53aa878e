"""The issuer of managed identities, as Azure's token service is for federated credentials."""

import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from localdev.tenant.apps import FederatedCredential
from localdev.tenant.signing import SigningKey

AUDIENCE = "api://AzureADTokenExchange"
IDENTITY_CLIENT_ID = "1d7e0a44-93c5-4b1f-8f0a-4be2a90c0003"
IDENTITY_OBJECT_ID = "1d7e0a44-93c5-4b1f-8f0a-4be2a90c0004"


class Workloads:
    """Signs assertions about one managed identity."""

    issuer = "https://login.microsoftonline.com/3f0c1a52-7a43-4c1e-9d55-6b1f0c0a0001/v2.0"

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self.header = secrets.token_hex(16)

    @property
    def kid(self) -> str:
        """Names its key in a JWT header."""
        return self._key.kid

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """The key that checks its assertions."""
        return self._key.public_key

    @property
    def credential(self) -> FederatedCredential:
        """The registration that lets the managed identity act as an app."""
        return FederatedCredential(self.issuer, IDENTITY_OBJECT_ID, AUDIENCE)

    def assertion(self, *, now: float, lifetime: float = 3600, audience: str = AUDIENCE, **changes: Any) -> str:
        """A token of the managed identity for `audience`. `changes` replaces claims, for forged ones."""
        times = {"iat": int(now), "nbf": int(now), "exp": int(now + lifetime)}
        claims = {"iss": self.issuer, "sub": IDENTITY_OBJECT_ID, "aud": audience, "appid": IDENTITY_CLIENT_ID}
        return self._key.sign(claims | times | {"jti": secrets.token_hex(8)} | changes)
