"""The API's answer when only the person can help: a bearer challenge that tells the client what to ask them for."""

from shared.error_codes import explain
from shared.errors import BearerRefused, SignInRequired
from shared.identity.challenge import api_scope, bearer_challenge
from shared.settings import Settings


def interaction_refusal(error: SignInRequired, settings: Settings) -> BearerRefused:
    """The refusal whose challenge tells the client how to ask the person.

    With claims: 401 `insufficient_claims`, which passes the claims challenge on unchanged. The client signs the person
    in with it and calls again. Without claims, the code's row in shared/error_codes.py decides:

    - 403 `insufficient_scope` names the scope `.default`, which asks for consent to everything that this app needs;
    - 401 `insufficient_user_authentication` has `max_age=0` (RFC 9470, 3);
    - 401 `invalid_token` rejects the token, or the person behind it.
    """
    meaning = explain(error.code)
    words = f"{meaning.happened} {meaning.remedy}"
    name = "insufficient_claims" if error.claims else meaning.challenge
    needs_consent = name == "insufficient_scope"
    challenge = bearer_challenge(
        settings,
        error=name,
        description=words,
        scope=api_scope(settings, ".default") if needs_consent else "",
        claims=error.claims,
        max_age=0 if name == "insufficient_user_authentication" else None,
    )
    return BearerRefused(
        words,
        challenge=challenge,
        code="consent_required" if needs_consent else "interaction_required",
        title="The person has to sign in",
        status=403 if needs_consent else 401,
        reference=error.correlation_id,
    )
