"""The WWW-Authenticate header, which tells a refused API client what token to send instead.

Sources: RFC 6750, 3 (errors and scope); RFC 9470 (a fresher sign-in); "Claims challenges, claims requests, and client
capabilities" of the Microsoft identity platform (claims, in base64).
"""

import base64
import re

from shared.settings import Settings

_UNQUOTABLE = re.compile(r'[^\x20-\x7e]|["\\]')


def bearer_challenge(
    settings: Settings,
    *,
    error: str = "",
    description: str = "",
    scope: str = "",
    claims: str = "",
    max_age: int | None = None,
) -> str:
    """The header's value. Without an error it only says that a token is needed.

    Characters that would end a quoted-string, or can't stand in a header, are left out (RFC 9110, 5.6.4).

    Args:
        scope: the scope that the next token must carry.
        claims: a claims challenge as JSON text, which the client sends with its next token request.
        max_age: the next token's interactive sign-in may be at most so many seconds old.
    """
    parameters = {
        "realm": settings.base_url,
        "authorization_uri": f"{settings.authority}/oauth2/v2.0/authorize",
        "error": error,
        "error_description": description,
        "scope": scope,
        "claims": base64.b64encode(claims.encode()).decode(),
        "max_age": "" if max_age is None else str(max_age),
    }
    quotable = {name: _UNQUOTABLE.sub("", value) for name, value in parameters.items() if value}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in quotable.items())


def api_scope(settings: Settings, name: str = "") -> str:
    """A scope of this app's own API as clients ask for it."""
    return f"api://{settings.client_id}/{name or settings.api_scope}"
