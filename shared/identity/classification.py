"""Every way in which a token endpoint gives no token, as an outcome: its error answers (RFC 6749, 5.2; OpenID Connect
Core 1.0, 3.1.2.6; Entra's error_codes), no answer, and nothing to ask it with."""

import re
from collections.abc import Mapping
from typing import Any

from msal import SerializableTokenCache

from shared.accounts import Outcome, Verdict
from shared.clients.http import Throttled, Unavailable
from shared.error_codes import code_of
from shared.identity import token_caches
from shared.identity.metadata import AuthorityRefused

_BY_NUMBER = {
    "7000215": Outcome.MISCONFIGURED,
    "7000218": Outcome.MISCONFIGURED,
    "7000222": Outcome.MISCONFIGURED,
    "700016": Outcome.MISCONFIGURED,
    "700027": Outcome.MISCONFIGURED,
    "700213": Outcome.MISCONFIGURED,
    "90002": Outcome.MISCONFIGURED,
    "70011": Outcome.MISCONFIGURED,
    # invalid_grant by name only: the person's session is good, the server wants fewer requests, or has a fault
    "50196": Outcome.THROTTLED,
    "90033": Outcome.UNAVAILABLE,
}
_BY_ERROR = {
    "invalid_grant": Outcome.SIGN_IN_REQUIRED,
    "interaction_required": Outcome.SIGN_IN_REQUIRED,
    "consent_required": Outcome.SIGN_IN_REQUIRED,
    "login_required": Outcome.SIGN_IN_REQUIRED,
    "invalid_client": Outcome.MISCONFIGURED,
    "unauthorized_client": Outcome.MISCONFIGURED,
    "invalid_scope": Outcome.MISCONFIGURED,
    "invalid_request": Outcome.MISCONFIGURED,
    "invalid_resource": Outcome.MISCONFIGURED,
    "invalid_tenant": Outcome.MISCONFIGURED,
    "invalid_issuer": Outcome.MISCONFIGURED,
    "unsupported_grant_type": Outcome.MISCONFIGURED,
}
_LONGEST_CLAIMS = 4096
CREDENTIAL_ERRORS = frozenset(
    {"invalid_client", "7000215", "7000218", "7000222", "50027", "700023", "700024", "700025", "700027"}
    | {"700211", "700212", "700213"}
)
NO_REFRESH_TOKEN = "no_refresh_token"  # noqa: S105 - a word of ours, as the next: nobody was asked
OTHER_CLIENT = "other_client"


def classify(answer: Mapping[str, Any]) -> Verdict:
    """The verdict of an error answer. What nobody has heard of is `unavailable`: nobody is set aside by a guess."""
    code = code_of(answer)
    error = str(answer.get("error", ""))
    outcome = _BY_NUMBER.get(code) or _BY_ERROR.get(error, Outcome.UNAVAILABLE)
    return Verdict(
        outcome,
        code=code,
        suberror=_word(answer.get("suberror")),
        correlation_id=_word(answer.get("correlation_id")),
        claims=_claims(answer.get("claims")),
    )


def unanswered(error: Throttled | Unavailable) -> Verdict:
    """The verdict when there was no answer that could be read, or none from the authority itself."""
    if isinstance(error, Throttled):
        return Verdict(Outcome.THROTTLED, code="throttled", retry_after=error.after)
    if isinstance(error, AuthorityRefused):
        return classify(error.answer)
    return Verdict(Outcome.UNAVAILABLE, code=error.reason)


def nothing_to_redeem(cache: SerializableTokenCache) -> Verdict:
    """MSAL found no refresh token of ours. One for another client or host tells of our settings, not of the person."""
    if token_caches.entries(cache, token_caches.CredentialType.REFRESH_TOKEN):
        return Verdict(Outcome.MISCONFIGURED, code=OTHER_CLIENT)
    return Verdict(Outcome.SIGN_IN_REQUIRED, code=NO_REFRESH_TOKEN)


def _claims(value: object) -> str:
    """A claims challenge, as long as one can rightly be."""
    return value if isinstance(value, str) and len(value) <= _LONGEST_CLAIMS else ""


def _word(value: object) -> str:
    """A short identifier as it is, anything else as nothing: the answer may hold whatever somebody put there."""
    return value if isinstance(value, str) and re.fullmatch(r"[\w.:-]{1,64}", value) else ""
