"""The app's credential at the token endpoint: a secret, a certificate, or a managed identity.

The last two are client assertions (RFC 7523). Signing takes tens of milliseconds, so one callable serves the whole
process and reuses each assertion until shortly before it expires.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from azure.identity import ManagedIdentityCredential
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from msal.oauth2cli import JwtAssertionCreator

from shared.errors import SettingsError
from shared.identity.authority import Authority
from shared.settings import Settings

_NO_CERTIFICATE = (
    "CLIENT_CERTIFICATE: a PEM certificate and its unencrypted private key are needed, one after the other"
)
# The algorithms of a kind of key, the best first. The last one is for a provider that names none: RS256 is what every
# provider should have (OpenID Connect Discovery 1.0, 3).
_KEY_ALGORITHMS: Sequence[tuple[type, tuple[str, ...]]] = (
    (rsa.RSAPublicKey, ("PS256", "RS256")),
    (ed25519.Ed25519PublicKey, ("EdDSA",)),
)
_ASSERTION_SECONDS = 600
_RENEW_BEFORE_SECONDS = 120
_EXCHANGE_AUDIENCES = {
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
}

ClientCredential = str | dict[str, Any]


def client_credential(settings: Settings, authority: Authority) -> ClientCredential:
    """MSAL's `client_credential`. Raises SettingsError when the certificate can't be read."""
    if settings.client_secret:
        return settings.client_secret
    if settings.client_certificate:
        pem = _read_pem(settings.client_certificate)
        if authority.is_plain:
            offered = partial(authority.offers, "token_endpoint_auth_signing_alg_values_supported")
            return {"client_assertion": single_use_assertion(settings.client_id, pem, offered)}
        return {"client_assertion": certificate_assertion(settings.client_id, pem)}
    return {"client_assertion": managed_identity_assertion(settings)}


class CertificateAssertion:
    """Signs client assertions with a certificate's key; keeps one per token endpoint until shortly before it expires.

    Args:
        pem: private key and certificate. The thumbprint (x5t#S256, RFC 7515, 4.1.8) is computed from it.
        clock: POSIX seconds.
    """

    def __init__(self, client_id: str, pem: str, *, clock: Callable[[], float] = time.time) -> None:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        thumbprint = certificate.fingerprint(SHA256()).hex()
        self._client_id = client_id
        self._creator = JwtAssertionCreator(pem, algorithm="PS256", sha256_thumbprint=thumbprint)
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, bytes]] = {}

    def __call__(self, context: Mapping[str, str]) -> bytes:
        """The assertion for `context["token_endpoint"]`."""
        audience = context["token_endpoint"]
        with self._lock:
            until, assertion = self._kept.get(audience, (0.0, b""))
            if until <= self._clock():
                assertion = self._creator.create_normal_assertion(
                    audience, self._client_id, expires_in=_ASSERTION_SECONDS
                )
                self._kept[audience] = (self._clock() + _ASSERTION_SECONDS - _RENEW_BEFORE_SECONDS, assertion)
            return assertion


class SingleUseAssertion:
    """Signs a client assertion for each token request (`private_key_jwt`, OpenID Connect Core 1.0, 9): a plain OpenID
    provider may accept each only once.

    Args:
        pem: private key and certificate, whose thumbprint goes along (x5t#S256, RFC 7515, 4.1.8).
        offered: returns the algorithms that the provider's discovery names.
    """

    def __init__(self, client_id: str, pem: str, offered: Callable[[], Sequence[str]]) -> None:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
        self.algorithms = next((names for kind, names in _KEY_ALGORITHMS if isinstance(key, kind)), ())
        if isinstance(key, ec.EllipticCurvePublicKey):
            self.algorithms = {"secp256r1": ("ES256",), "secp384r1": ("ES384",)}.get(key.curve.name, ())
        if not self.algorithms:
            raise ValueError("a key of another kind")
        self._client_id = client_id
        self._pem = pem
        self._thumbprint = certificate.fingerprint(SHA256()).hex()
        self._offered = offered

    def __call__(self, context: Mapping[str, str]) -> bytes:
        """An assertion for `context["token_endpoint"]`. Raises Throttled, Unavailable."""
        offered = self._offered()
        algorithm = next((each for each in self.algorithms if each in offered), self.algorithms[-1])
        return self.sign(context["token_endpoint"], algorithm)

    def sign(self, audience: str, algorithm: str) -> bytes:
        """An assertion. Raises ValueError, TypeError when the key is not the certificate's."""
        creator = JwtAssertionCreator(self._pem, algorithm=algorithm, sha256_thumbprint=self._thumbprint)
        signed: bytes = creator.create_normal_assertion(audience, self._client_id, expires_in=_ASSERTION_SECONDS)
        return signed


def single_use_assertion(client_id: str, pem: str, offered: Callable[[], Sequence[str]]) -> SingleUseAssertion:
    """A callable for MSAL. Signs once as a check: raises SettingsError when certificate or key are missing or wrong."""
    try:
        assertion = SingleUseAssertion(client_id, pem, offered)
        assertion.sign("https://localhost/", assertion.algorithms[-1])
    except (ValueError, TypeError) as error:
        raise SettingsError([_NO_CERTIFICATE]) from error
    return assertion


def certificate_assertion(client_id: str, pem: str) -> CertificateAssertion:
    """A callable for MSAL. Signs once as a check: raises SettingsError when certificate or key are missing or wrong."""
    try:
        assertion = CertificateAssertion(client_id, pem)
        assertion({"token_endpoint": "https://localhost/"})
    except (ValueError, TypeError) as error:
        raise SettingsError([_NO_CERTIFICATE]) from error
    return assertion


def managed_identity_assertion(settings: Settings) -> Callable[[], str]:
    """A callable that returns the managed identity's token, which a federated credential accepts as an assertion.
    azure-identity caches it. ("Configure an application to trust a managed identity")"""
    credential = ManagedIdentityCredential(client_id=settings.storage_client_id or None)
    host = settings.authority.split("/")[2] if settings.authority else ""
    scope = _EXCHANGE_AUDIENCES.get(host, "api://AzureADTokenExchange") + "/.default"
    return lambda: credential.get_token(scope).token


def _read_pem(text: str) -> str:
    """The PEM text: as it is, or from the file that it names."""
    if "-----BEGIN" in text:
        return text.replace("\\n", "\n")
    try:
        return Path(text).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise SettingsError(
            [f"CLIENT_CERTIFICATE: neither PEM text nor a readable PEM file ({type(error).__name__})"]
        ) from error
