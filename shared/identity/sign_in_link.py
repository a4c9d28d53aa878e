"""Links to this app's sign-in page, for one account and with the right prompt and claims.

A claims challenge is sealed in the link, because anybody can write a link. So the tenant gets only claims that it asked
for.
"""

from urllib.parse import urlencode

from shared.error_codes import explain
from shared.errors import SealError
from shared.sealing import KeyRing

_PURPOSE = "claims-challenge"


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


def sealed_challenge(claims: str, keys: KeyRing) -> str:
    """A claims challenge for `sign_in_path`; "" when there is none."""
    return keys.seal_text(claims, purpose=_PURPOSE) if claims else ""


def opened_challenge(text: str, keys: KeyRing) -> str:
    """The claims in a sealed challenge (JSON text); "" when it does not open. The sign-in is an ordinary one then."""
    try:
        return keys.open_text(text, purpose=_PURPOSE) if text else ""
    except SealError:
        return ""
