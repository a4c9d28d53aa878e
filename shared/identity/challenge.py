"""What a refused API client is told in WWW-Authenticate, so that it can do better.

RFC 6750, 3 (errors and scope); RFC 9470 (a fresher sign-in); "Claims challenges, claims requests, and client
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

    Args:
        scope: what the next token must carry.
        claims: a claims challenge as JSON text, to be sent along with the next token request.
        max_age: the most seconds since the person last signed in by hand.
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
    return "Bearer " + ", ".join(f'{name}="{_quotable(value)}"' for name, value in parameters.items() if value)


def api_scope(settings: Settings, name: str = "") -> str:
    """A scope of this app's own API as clients ask for it."""
    return f"api://{settings.client_id}/{name or settings.api_scope}"


def _quotable(text: str) -> str:
    """Without what would end a quoted-string, or can't stand in a header (RFC 9110, 5.6.4)."""
    return _UNQUOTABLE.sub("", text)
