"""How the app's secret gets to a plain OpenID provider's token endpoint.

MSAL writes it into the form (`client_secret_post`) and knows no other way. A provider may offer both ways, and accept
only the one that is registered for the client; the default there is `client_secret_basic` (OpenID Connect Dynamic
Client Registration 1.0, 2). So that one is tried first, where it is offered, and the other one when the answer is that
the client can't be authenticated: nothing was redeemed then (RFC 6749, 3.2.1). What worked is kept for the process.
"""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from shared.identity.authority import Authority
from shared.settings import Settings

BASIC, POST = "client_secret_basic", "client_secret_post"


class ClientAuthentication:
    """The ways for this provider, the best one first. One object per process."""

    def __init__(self, settings: Settings, authority: Authority) -> None:
        self._settings = settings
        self._authority = authority
        self._proven: str = settings.client_authentication

    def ways(self) -> tuple[str, ...]:
        """The ways to try, in this order; () when MSAL does it all: for Entra, and for a client assertion.

        Raises:
            Throttled, Unavailable: there is no discovery document.
        """
        if not self._authority.is_plain or not self._settings.client_secret:
            return ()
        if self._proven:
            return (self._proven,)
        # OpenID Connect Discovery 1.0, 3: without a list, the provider has client_secret_basic.
        offered = self._authority.offers("token_endpoint_auth_methods_supported", default=(BASIC,))
        return tuple(way for way in (BASIC, POST) if way in offered) or (BASIC,)

    def note_success(self, way: str) -> None:
        """Keeps to a way that the provider has accepted."""
        self._proven = way


def present_secret(way: str, fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The form's fields and the headers that present the client's secret this way.

    Both parts are encoded as in a form first (RFC 6749, 2.3.1).

    Args:
        fields: the form as MSAL wrote it, with `client_id` and `client_secret`.
    """
    if way != BASIC or "client_secret" not in fields:
        return dict(fields), {}
    left = {name: value for name, value in fields.items() if name not in ("client_id", "client_secret")}
    pair = f"{quote_plus(str(fields['client_id']))}:{quote_plus(str(fields['client_secret']))}"
    return left, {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
