"""App registrations: a web app with an API, a desktop client, and a sample API of somebody else."""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from localdev.tenant.encoding import base64url
from localdev.tenant.errors import refuse
from localdev.tenant.scopes import API_SCOPE, ON_API, ON_SAMPLE_API

WEB_CLIENT_ID = "c0a5b1de-4f2b-4d0e-9a11-7e5f3a0c0001"
DESKTOP_CLIENT_ID = "d35c0b7e-2a64-4a5c-8b3f-91e60d0c0002"
SAMPLE_API_CLIENT_ID = "5a3b91c7-60de-4c1b-a7f5-2f8d4e0c0005"
CALLBACK = "/signin/callback"
ADMIN_CONSENT = "/signin/admin-consent"
_LOCALHOST = re.compile(r"http://localhost(:\d+)?")


class SecretState(StrEnum):
    """The state of an app's secret."""

    VALID = "valid"
    EXPIRED = "expired"
    WRONG = "wrong"


@dataclass(frozen=True)
class FederatedCredential:
    """A workload that may act as the app: it presents this issuer's assertion about this subject."""

    issuer: str
    subject: str
    audience: str


@dataclass
class App:
    """One registration. A public client has no secret and may redirect to any loopback port without a path."""

    client_id: str
    name: str
    public: bool = False
    secret: str = ""
    secret_state: SecretState = SecretState.VALID
    redirect_uris: set[str] = field(default_factory=set)
    removed_from_tenants: set[str] = field(default_factory=set)
    certificates: list[x509.Certificate] = field(default_factory=list)
    federated: list[FederatedCredential] = field(default_factory=list)
    # Apps whose users consent to this app's own permissions together with its API ("known client applications").
    known_clients: tuple[str, ...] = ()
    # The permissions of Graph in its registration, for which .default asks consent.
    permissions: tuple[str, ...] = ("User.Read",)
    # The same for other APIs, by client ID; and the scopes that this app exposes, in words.
    api_permissions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exposes: Mapping[str, str] = field(default_factory=dict)

    def takes_redirect(self, uri: str) -> bool:
        """Whether an answer may be sent to this URI. As with Entra, localhost may have any port."""
        if uri in self.redirect_uris:
            return True
        local = _LOCALHOST.match(uri)
        path = uri[local.end() :] if local else None
        return path in (("", "/") if self.public else (CALLBACK, ADMIN_CONSENT))

    def takes_logout(self, uri: str) -> bool:
        """Whether a browser may be sent to this URL after a sign-out: it has the origin of a redirect URI."""
        origins = {_origin(each) for each in self.redirect_uris}
        return _origin(uri) in origins or bool(re.fullmatch(r"http://localhost(:\d+)?", _origin(uri)))

    def check_secret(self, presented: str) -> None:
        """Raises EntraError unless the secret is right and in force."""
        if self.secret_state is SecretState.EXPIRED:
            raise refuse(7000222)
        if self.secret_state is SecretState.WRONG or not self._is_secret(presented):
            raise refuse(7000215)

    def _is_secret(self, presented: str) -> bool:
        return secrets.compare_digest(presented.encode(), self.secret.encode())

    def certificate(self, header: dict[str, Any]) -> x509.Certificate | None:
        """The registered certificate that a client assertion's header names by thumbprint."""
        # RFC 7515 has no padding here, but MSAL sends it.
        wanted = {str(header.get(name)).rstrip("=") for name in ("x5t#S256", "x5t", "kid")}
        return next((each for each in self.certificates if thumbprints(each) & wanted), None)


class Apps:
    """Every registration, by client ID."""

    def __init__(self, *, secret: str, redirect_uris: Iterable[str] = ()) -> None:
        self.web = App(
            WEB_CLIENT_ID,
            "Understudy",
            secret=secret,
            redirect_uris=set(redirect_uris),
            known_clients=(DESKTOP_CLIENT_ID,),
            api_permissions={WEB_CLIENT_ID: (API_SCOPE,), SAMPLE_API_CLIENT_ID: ("Items.ReadWrite",)},
            exposes=ON_API,
        )
        self.desktop = App(
            DESKTOP_CLIENT_ID,
            "Understudy for the desktop",
            public=True,
            api_permissions={WEB_CLIENT_ID: (API_SCOPE,)},
        )
        self.sample_api = App(
            SAMPLE_API_CLIENT_ID, "Sample API", secret=secrets.token_urlsafe(32), exposes=ON_SAMPLE_API
        )
        self._apps = {each.client_id: each for each in (self.web, self.desktop, self.sample_api)}

    def __iter__(self) -> Iterator[App]:
        return iter(self._apps.values())

    def get(self, client_id: str) -> App:
        """Returns the registration. Raises AADSTS700016 when there is none."""
        app = self._apps.get(client_id.lower())
        if app is None:
            raise refuse(700016, client=client_id)
        return app

    def get_in(self, client_id: str, tids: Iterable[str]) -> App:
        """Returns the registration if at least one of these tenants still has it. Raises AADSTS700016 otherwise."""
        app = self.get(client_id)
        if set(tids) <= app.removed_from_tenants:
            raise refuse(700016, client=client_id)
        return app


def thumbprints(certificate: x509.Certificate) -> set[str]:
    """Its SHA-256 and SHA-1 thumbprints as client assertions spell them (RFC 7515, x5t#S256 and x5t)."""
    # SHA-1 only names a certificate here. Nothing relies on its strength.
    kinds: tuple[hashes.HashAlgorithm, ...] = (hashes.SHA256(), hashes.SHA1())  # noqa: S303
    return {base64url(certificate.fingerprint(kind)) for kind in kinds}


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"
