"""Verdicts for silent acquisitions that end without a token: by an error answer, no answer, or nothing to send."""

import re
from collections.abc import Mapping
from typing import Any

from msal import SerializableTokenCache

from shared.accounts import Outcome, Verdict
from shared.clients.answers import Throttled, Unavailable
from shared.error_codes import code_of, diagnosis_of, outcome_of
from shared.identity import token_caches
from shared.identity.clouds import cloud_of
from shared.identity.metadata import AuthorityRefused

_LONGEST_CLAIMS = 4096


def classify(answer: Mapping[str, Any]) -> Verdict:
    """The verdict of an error answer. An unknown error is `unavailable`: no person is set aside by a guess.

    A claims challenge longer than any real one, and identifiers with odd characters, are left out.
    """
    claims = answer.get("claims")
    return Verdict(
        outcome_of(answer) or Outcome.UNAVAILABLE,
        code=code_of(answer),
        suberror=_word(answer.get("suberror")),
        correlation_id=_word(answer.get("correlation_id")),
        claims=claims if isinstance(claims, str) and len(claims) <= _LONGEST_CLAIMS else "",
        diagnosis=diagnosis_of(answer),
    )


def classify_failure(error: Throttled | Unavailable) -> Verdict:
    """The verdict when no answer came, the answer can't be read, or the authority refused its discovery."""
    if isinstance(error, Throttled):
        return Verdict(Outcome.THROTTLED, code="throttled", retry_after=error.after)
    if isinstance(error, AuthorityRefused):
        return classify(error.answer)
    return Verdict(Outcome.UNAVAILABLE, code=error.reason)


def classify_empty_cache(cache: SerializableTokenCache, *, client_id: str, host: str) -> Verdict:
    """The verdict when MSAL found no refresh token to send.

    A cache with a token for another client, cloud or host shows that our settings changed: `misconfigured`.

    Args:
        client_id: of this app.
        host: of its authority.
    """
    tokens = token_caches.entries(cache, token_caches.CredentialType.REFRESH_TOKEN)
    if not tokens:
        return Verdict(Outcome.SIGN_IN_REQUIRED, code="no_refresh_token")
    ours = [token for token in tokens if token["client_id"] == client_id]
    if not ours:
        return Verdict(Outcome.MISCONFIGURED, code="other_client")
    if all(token["environment"] == host for token in ours):  # without an account beside it, MSAL can't use the token
        return Verdict(Outcome.SIGN_IN_REQUIRED, code="no_refresh_token")
    between_clouds = cloud_of(host) and any(cloud_of(token["environment"]) for token in ours)
    return Verdict(Outcome.MISCONFIGURED, code="other_cloud" if between_clouds else "other_host")


def _word(value: object) -> str:
    """A short identifier; "" for anything else."""
    return value if isinstance(value, str) and re.fullmatch(r"[\w.:-]{1,64}", value) else ""
