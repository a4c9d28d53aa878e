"""What the identity provider publishes about itself (OpenID Connect Discovery 1.0), and what follows from it.

A plain OpenID provider is one that OIDC_AUTHORITY names. MSAL takes its document from here. So an issuer without a path
will do, which MSAL would refuse (`canonicalize`, msal/authority.py), and its own rule for issuers is not relied on: it
accepts any issuer on the same host (`has_valid_issuer`).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shared.clients.answers import HttpAnswer, json_object
from shared.identity.metadata import AuthorityRefused, Metadata
from shared.settings import Settings

_PATH = "/.well-known/openid-configuration"
# Google knows no scope offline_access and refuses it; `access_type=offline` asks for a refresh token ("Using OAuth 2.0
# for Web Server Applications", Google Identity).
_GOOGLE = "accounts.google.com"
ENTRAS_PARAMETERS = ("claims", "client_info")  # which MSAL adds
_NO_PATH = "/-"  # MSAL wants a path; the address with it is never asked for


class Authority:
    """The identity provider of the settings.

    Attributes:
        is_plain: is it a plain OpenID provider, and not Microsoft Entra?
    """

    def __init__(self, settings: Settings, metadata: Metadata) -> None:
        self._settings = settings
        self._metadata = metadata
        self.is_plain = bool(settings.oidc_authority)
        self._checked: tuple[HttpAnswer | None, Mapping[str, Any]] = (None, {})

    @property
    def discovery_url(self) -> str:
        """Where the authority describes itself (OpenID Connect Discovery 1.0, 4)."""
        return f"{self._settings.oidc_authority}{_PATH}" if self.is_plain else f"{self._settings.authority}/v2.0{_PATH}"

    @property
    def msal_authority(self) -> str | None:
        """MSAL's `oidc_authority`; None for Entra."""
        url = self._settings.oidc_authority
        return (url if urlsplit(url).path else url + _NO_PATH) if url else None

    @property
    def knows_offline_access(self) -> bool:
        """Is a refresh token asked for with the scope `offline_access` (OpenID Connect Core 1.0, 11)?"""
        return urlsplit(self._settings.oidc_authority).hostname != _GOOGLE

    def without_entras_parameters(self, url: str) -> str:
        """MSAL's authorization URL as a plain provider is to get it."""
        if not self.is_plain:
            return url
        parts = urlsplit(url)
        query = [(name, value) for name, value in parse_qsl(parts.query) if name not in ENTRAS_PARAMETERS]
        if not self.knows_offline_access:
            query.append(("access_type", "offline"))
        return urlunsplit(parts._replace(query=urlencode(query)))

    def document(self) -> Mapping[str, Any]:
        """The document.

        Raises:
            Throttled, Unavailable: it can't be fetched.
            AuthorityRefused: a plain provider's names another issuer than OIDC_AUTHORITY (OpenID Connect Discovery 1.0,
                4.3), or lacks an endpoint. A slash at the end makes no other issuer. Microsoft's names a template for
                many tenants, or another host of the same cloud: MSAL knows these.
        """
        answer = self._metadata.get(self.discovery_url)
        if self._checked[0] is not answer:
            document = json_object(answer)
            if self.is_plain and not self._settings.oidc_is_microsofts:
                issuer = document.get("issuer")
                if not isinstance(issuer, str) or issuer.rstrip("/") != self._settings.oidc_authority:
                    raise AuthorityRefused({"error": "invalid_issuer"})
            self._checked = (answer, document)
        return self._checked[1]

    def published(self) -> HttpAnswer:
        """The document as it was fetched. Raises as `document`."""
        self.document()
        return self._metadata.get(self.discovery_url)

    def offers(self, name: str, *, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of the document. Raises as `document`.

        Args:
            default: what a document without it means.
        """
        found = self.document().get(name)
        return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else default
