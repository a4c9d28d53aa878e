"""What a plain OpenID provider tells about the person whom an access token is for (OpenID Connect Core 1.0, 5.3)."""

import logging
from typing import Any

from shared.clients.answers import Throttled, Unavailable, json_object
from shared.clients.http import HttpClient
from shared.identity.authority import Authority

_SECONDS = 3.0
_LONGEST = 200
_CLAIMS = ("name", "given_name", "preferred_username", "email")

logger = logging.getLogger(__name__)


def read_userinfo(http: HttpClient, authority: Authority, access_token: str, *, subject: str) -> dict[str, str]:
    """The person's claims `name`, `given_name`, `preferred_username` and `email`, as far as the provider tells them.

    {} when it has no such endpoint, fails, or answers about somebody else than `subject` (5.3.2). A provider may keep
    these claims out of the id token (5.4).
    """
    try:
        url = authority.document().get("userinfo_endpoint")
        if not isinstance(url, str):
            return {}
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        answer = http.request("GET", url, headers=headers, seconds=_SECONDS, repeatable=True)
        answer.raise_for_status()
        claims: dict[str, Any] = json_object(answer)
    except (Throttled, Unavailable) as error:
        logger.info("userinfo is not available: %s", error)
        return {}
    if claims.get("sub") != subject:
        logger.warning("userinfo is about somebody else, and is left out")
        return {}
    return {name: str(claims[name])[:_LONGEST] for name in _CLAIMS if isinstance(claims.get(name), str)}
