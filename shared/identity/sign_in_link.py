"""Links to this app's sign-in page, for one account and with the right prompt and claims.

A claims challenge is sealed in the link, because anybody can write a link. So the tenant gets only claims that it asked
for, in a link for the person whom it asked, and not for ever.
"""

import json
from datetime import datetime, timedelta
from urllib.parse import urlencode

from shared.error_codes import explain
from shared.errors import SealError
from shared.sealing import KeyRing

CHALLENGE_LIFETIME = timedelta(days=14)  # a message may wait seven days in the queue, and its mail some more
_PURPOSE = "claims-challenge/2"


def sign_in_path(*, username: str = "", code: str = "", challenge: str = "", next_path: str = "") -> str:
    """The path that starts a sign-in.

    Args:
        code: the failure's (shared/error_codes.py), which decides the prompt; "" starts an ordinary sign-in.
        challenge: from `sealed_challenge`.
        next_path: where the browser goes after the sign-in.
    """
    parameters = {
        "login_hint": username,
        "prompt": explain(code).prompt if code else "",
        "challenge": challenge,
        "next": next_path,
    }
    given = {name: value for name, value in parameters.items() if value}
    return f"/signin?{urlencode(given)}" if given else "/signin"


def sealed_challenge(claims: str, keys: KeyRing, *, owner: str, now: datetime) -> str:
    """A claims challenge for `sign_in_path`; "" when there is none, or nobody to own it.

    Args:
        owner: the link's username. For a link without one, the account id of the session in which it is shown.
    """
    if not claims or not owner:
        return ""
    return keys.seal_text(json.dumps({"claims": claims, "at": now.timestamp()}), purpose=_PURPOSE, owner=owner)


def opened_challenge(text: str, keys: KeyRing, *, owner: str, now: datetime) -> str:
    """The claims in a sealed challenge (JSON text). "" when it does not open for this owner or is older than
    CHALLENGE_LIFETIME: the sign-in is an ordinary one then."""
    if not text or not owner:
        return ""
    try:
        content = json.loads(keys.open_text(text, purpose=_PURPOSE, owner=owner))
    except SealError:
        return ""
    return str(content["claims"]) if now.timestamp() - content["at"] < CHALLENGE_LIFETIME.total_seconds() else ""
