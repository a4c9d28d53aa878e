"""The errors that end a sign-in, with words for the person."""

import re
from collections.abc import Mapping
from typing import Any

from shared.clients.answers import Throttled, Unavailable
from shared.error_codes import code_of, diagnosis_of, explain_answer
from shared.errors import Misconfigured, SignInFailed, TryLater
from shared.identity.metadata import AuthorityRefused

OPERATOR_MUST_HELP = (
    "We are sorry: this app isn't set up well, and you can't help it. Whoever runs it has to, and finds out why in its "
    "log. Nothing is lost."
)


def sign_in_refused(answer: Mapping[str, Any]) -> SignInFailed:
    """The error for a tenant's refusal.

    Args:
        answer: the token endpoint's error answer, or the parameters of the tenant's redirect to our callback. The
            redirect has its correlation id in `error_description` only.
    """
    meaning = explain_answer(answer)
    reference = str(answer.get("correlation_id") or "")[:64]
    if not reference:
        found = re.search(r"Correlation ID: ([0-9a-fA-F-]{36})", str(answer.get("error_description", ""))[:4000])
        reference = found[1] if found else ""
    words = {"code": code_of(answer), "reference": reference}
    diagnosis = diagnosis_of(answer)
    if meaning.fixer == "operator":
        return SignInFailed(OPERATOR_MUST_HELP, status=500, diagnosis=diagnosis, **words)
    return SignInFailed(f"{meaning.happened} {meaning.remedy}", diagnosis=diagnosis, **words)


def tenant_unreachable(error: Throttled | Unavailable) -> SignInFailed:
    """The error for an identity provider that gave no readable answer."""
    code = getattr(error, "reason", "throttled")
    return SignInFailed("The identity provider can't be reached. Try again in a minute.", code=code, status=503)


def discovery_failed(error: Throttled | Unavailable) -> TryLater | Misconfigured:
    """The error for an authority whose discovery document can't be fetched: no sign-in can begin."""
    if isinstance(error, AuthorityRefused):
        return Misconfigured(code_of(error.answer), diagnosis=diagnosis_of(error.answer))
    if isinstance(error, Throttled):
        return TryLater("throttled", retry_after=error.after)
    return TryLater(error.reason, retry_after=getattr(error, "after", None))
