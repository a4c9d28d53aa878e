"""What a client is told when Entra wants the person themselves: which of the three standard challenges fits.

A claims challenge is passed on as it came: the client signs the person in with it, and calls again with the new token.
"""

from shared.error_codes import explain
from shared.errors import BearerRefused, SignInRequired
from shared.identity.challenge import api_scope, bearer_challenge
from shared.settings import Settings

_CONSENT = ("65001", "65004", "90094", "consent_required")
_FRESH_SIGN_IN = ("50076", "50079", "50158", "70043", "interaction_required", "login_required")


def needed(error: SignInRequired, settings: Settings) -> BearerRefused:
    """The refusal that lets the client fix it.

    Claims to satisfy: 401 `insufficient_claims`. Consent: 403 `insufficient_scope` with `.default`, which asks for
    everything that this app needs. A second factor or a fresher sign-in without claims: 401
    `insufficient_user_authentication` (RFC 9470). Anything else: 401 `invalid_token`; the token, or the person behind
    it, is no longer accepted.
    """
    meaning = explain(error.code)
    words = f"{meaning.happened} {meaning.remedy}"
    status, scope, max_age = 401, "", None
    if error.claims:
        name = "insufficient_claims"
    elif error.code in _CONSENT:
        name, status, scope = "insufficient_scope", 403, api_scope(settings, ".default")
    elif error.code in _FRESH_SIGN_IN:
        name, max_age = "insufficient_user_authentication", 0
    else:
        name = "invalid_token"
    challenge = bearer_challenge(
        settings, error=name, description=words, scope=scope, claims=error.claims, max_age=max_age
    )
    return BearerRefused(
        words,
        challenge=challenge,
        code="consent_required" if status == 403 else "interaction_required",
        title="The person has to sign in",
        status=status,
        reference=error.correlation_id,
    )
