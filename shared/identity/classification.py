"""Verdicts for silent acquisitions that end without a token: by an error answer, no answer, or nothing to send."""

import re
from collections.abc import Mapping
from typing import Any

from msal import SerializableTokenCache

from shared.accounts import Outcome, Verdict
from shared.clients.http import Throttled, Unavailable
from shared.error_codes import code_of, outcome_of
from shared.identity import token_caches
from shared.identity.clouds import cloud_of
from shared.identity.metadata import AuthorityRefused

_LONGEST_CLAIMS = 4096
NO_REFRESH_TOKEN = "no_refresh_token"  # noqa: S105 - a word of ours, not a secret
OTHER_CLIENT = "other_client"
OTHER_CLOUD = "other_cloud"
OTHER_HOST = "other_host"


def classify(answer: Mapping[str, Any]) -> Verdict:
    """The verdict of an error answer. An error that nobody has heard of is `unavailable`: no person is set aside on a
    guess."""
    return Verdict(
        outcome_of(answer) or Outcome.UNAVAILABLE,
        code=code_of(answer),
        suberror=_word(answer.get("suberror")),
        correlation_id=_word(answer.get("correlation_id")),
        claims=_claims(answer.get("claims")),
    )


def classify_failure(error: Throttled | Unavailable) -> Verdict:
    """The verdict when the answer can't be read, never came, or refuses the authority itself."""
    if isinstance(error, Throttled):
        return Verdict(Outcome.THROTTLED, code="throttled", retry_after=error.after)
    if isinstance(error, AuthorityRefused):
        return classify(error.answer)
    return Verdict(Outcome.UNAVAILABLE, code=error.reason)


def classify_empty_cache(cache: SerializableTokenCache, *, client_id: str, host: str) -> Verdict:
    """The verdict when MSAL found no refresh token to send.

    A cache with a token for another client, cloud or host shows that our settings changed; the person did nothing
    wrong.

    Args:
        client_id, host: of this app and of its authority.
    """
    tokens = token_caches.entries(cache, token_caches.CredentialType.REFRESH_TOKEN)
    if not tokens:
        return Verdict(Outcome.SIGN_IN_REQUIRED, code=NO_REFRESH_TOKEN)
    ours = [token for token in tokens if token["client_id"] == client_id]
    if not ours:
        return Verdict(Outcome.MISCONFIGURED, code=OTHER_CLIENT)
    if all(token["environment"] == host for token in ours):  # no account is filed with it: nothing that MSAL can use
        return Verdict(Outcome.SIGN_IN_REQUIRED, code=NO_REFRESH_TOKEN)
    between_clouds = cloud_of(host) and any(cloud_of(token["environment"]) for token in ours)
    return Verdict(Outcome.MISCONFIGURED, code=OTHER_CLOUD if between_clouds else OTHER_HOST)


def _claims(value: object) -> str:
    """A claims challenge; "" for anything longer than a challenge can be."""
    return value if isinstance(value, str) and len(value) <= _LONGEST_CLAIMS else ""


def _word(value: object) -> str:
    """A short identifier; "" for anything else, as the answer may hold any text."""
    return value if isinstance(value, str) and re.fullmatch(r"[\w.:-]{1,64}", value) else ""
