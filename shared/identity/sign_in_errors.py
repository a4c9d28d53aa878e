"""The errors that end a sign-in, in words for a browser."""

import re
from collections.abc import Mapping
from typing import Any

from shared.clients.http import Throttled, Unavailable
from shared.error_codes import code_of, explain_answer
from shared.errors import Misconfigured, SignInFailed, TryLater
from shared.identity.metadata import AuthorityRefused


def sign_in_refused(answer: Mapping[str, Any]) -> SignInFailed:
    """The error for a tenant's refusal.

    Args:
        answer: the token endpoint's error answer, or the parameters of the tenant's redirect to our callback.
    """
    meaning = explain_answer(answer)
    reference = str(answer.get("correlation_id") or "")[:64] or _correlation_id(answer)
    return SignInFailed(f"{meaning.happened} {meaning.remedy}", code=code_of(answer), reference=reference)


def _correlation_id(answer: Mapping[str, Any]) -> str:
    """The correlation id in `error_description`: the redirect to our callback has it nowhere else."""
    found = re.search(r"Correlation ID: ([0-9a-fA-F-]{36})", str(answer.get("error_description", ""))[:4000])
    return found[1] if found else ""


def tenant_unreachable(error: Throttled | Unavailable) -> SignInFailed:
    """The error for a token endpoint that gave no readable answer."""
    code = getattr(error, "reason", "throttled")
    return SignInFailed("The identity provider can't be reached. Try again in a minute.", code=code, status=503)


def discovery_failed(error: Throttled | Unavailable) -> TryLater | Misconfigured:
    """The error for an authority whose discovery document can't be had: no sign-in can begin."""
    if isinstance(error, AuthorityRefused):
        return Misconfigured(code_of(error.answer))
    if isinstance(error, Throttled):
        return TryLater("throttled", retry_after=error.after)
    return TryLater(error.reason)
