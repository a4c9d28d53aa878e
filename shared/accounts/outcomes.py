"""How a silent acquisition, or a person's turn in a sweep, can end."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """How a turn ended. README's table says what each outcome does to the account and to the sweep."""

    FRESH = "fresh"
    CACHED = "cached"
    SIGN_IN_REQUIRED = "sign_in_required"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"
    UNREADABLE = "unreadable"
    CONFLICT = "conflict"
    TASK_FAILED = "task_failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome and what is known about it. Holds no token.

    Attributes:
        code: an AADSTS number as text, an OAuth error or a word of ours (shared/error_codes.py); "" on success.
        retry_after: seconds to wait, when the service said so.
        claims: the claims challenge that the next interactive sign-in must satisfy; "" when there is none.
        diagnosis: the provider's own words, cleaned, for the operator's log; never stored or shown.
    """

    outcome: Outcome
    code: str = ""
    suberror: str = ""
    correlation_id: str = ""
    retry_after: float | None = None
    token_expires_at: datetime | None = None
    claims: str = ""
    diagnosis: str = ""
