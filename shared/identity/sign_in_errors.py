"""Why somebody can't sign in, as errors that a browser is answered with."""

import re
from collections.abc import Mapping
from typing import Any

from shared.clients.http import Throttled, Unavailable
from shared.error_codes import code_of, explain
from shared.errors import Misconfigured, SignInFailed, TryLater
from shared.identity.metadata import AuthorityRefused


def sign_in_refused(answer: Mapping[str, Any]) -> SignInFailed:
    """By the tenant's answer to our code, or to its own page."""
    code = code_of(answer)
    meaning = explain(code)
    reference = str(answer.get("correlation_id") or "")[:64] or _correlation_id(answer)
    return SignInFailed(f"{meaning.happened} {meaning.remedy}", code=code, reference=reference)


def _correlation_id(answer: Mapping[str, Any]) -> str:
    """The redirect to our callback has it in `error_description` only."""
    found = re.search(r"Correlation ID: ([0-9a-fA-F-]{36})", str(answer.get("error_description", ""))[:4000])
    return found[1] if found else ""


def tenant_unreachable(error: Throttled | Unavailable) -> SignInFailed:
    """There was no answer that could be read."""
    code = getattr(error, "reason", "throttled")
    return SignInFailed("The identity provider can't be reached. Try again in a minute.", code=code, status=503)


def discovery_failed(error: Throttled | Unavailable) -> TryLater | Misconfigured:
    """The authority does not describe itself: nobody can even be sent to it."""
    if isinstance(error, AuthorityRefused):
        return Misconfigured(code_of(error.answer))
    if isinstance(error, Throttled):
        return TryLater("throttled", retry_after=error.after)
    return TryLater(error.reason)
