"""The sign-in that helps somebody who was set aside: the right account, the right question.

A claims challenge travels sealed: what the tenant shall be asked for is never taken from an address that anybody can
write.
"""

from urllib.parse import urlencode

from shared.errors import SealError
from shared.sealing import KeyRing

_PURPOSE = "claims-challenge"
_ASKS_FOR_CONSENT = frozenset({"65001", "65004", "consent_required"})
# The tenant asks for what is missing by itself: nobody has to type a password for a second factor.
_ASKS_BY_ITSELF = frozenset({"50076", "50079", "50158", "interaction_required"})


def prompt_for(code: str) -> str:
    """OpenID Connect's `prompt` for a failure's code; "" leaves it to the tenant what to ask."""
    if code in _ASKS_FOR_CONSENT:
        return "consent"
    return "" if code in _ASKS_BY_ITSELF else "login"


def sign_in_path(*, username: str = "", code: str = "", challenge: str = "", next_path: str = "") -> str:
    """A path of this app that starts the sign-in.

    Args:
        code: of the failure; "" is an ordinary sign-in.
        challenge: from `sealed_challenge`.
    """
    parameters = {
        "login_hint": username,
        "prompt": prompt_for(code) if code else "",
        "challenge": challenge,
        "next": next_path,
    }
    given = {name: value for name, value in parameters.items() if value}
    return f"/signin?{urlencode(given)}" if given else "/signin"


def sealed_challenge(claims: str, keys: KeyRing) -> str:
    """A claims challenge for `sign_in_path`; "" when there is none."""
    return keys.seal_text(claims, purpose=_PURPOSE) if claims else ""


def opened_challenge(text: str, keys: KeyRing) -> str:
    """The claims in a sealed challenge; "" when it isn't ours or too old to open: then the sign-in is an ordinary
    one."""
    try:
        return keys.open_text(text, purpose=_PURPOSE) if text else ""
    except SealError:
        return ""
