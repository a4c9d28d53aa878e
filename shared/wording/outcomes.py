"""The outcomes of a turn in words, and whether they are good, wait for something, or need somebody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.accounts import Outcome

Kind = Literal["good", "waiting", "trouble"]


@dataclass(frozen=True, slots=True)
class OutcomeWords:
    """How pages speak of one outcome.

    Attributes:
        to_person: to the person themselves.
        label: in an operator's chart.
    """

    kind: Kind
    to_person: str
    label: str


OUTCOME_WORDS: Mapping[Outcome, OutcomeWords] = {
    Outcome.FRESH: OutcomeWords("good", "went well", "fresh token"),
    Outcome.CACHED: OutcomeWords("good", "went well", "token still good"),
    Outcome.TASK_FAILED: OutcomeWords("trouble", "a piece of work failed", "task failed"),
    Outcome.SIGN_IN_REQUIRED: OutcomeWords("trouble", "you had to sign in again", "sign-in required"),
    Outcome.UNREADABLE: OutcomeWords("trouble", "your stored sign-in could not be opened", "unreadable"),
    Outcome.MISCONFIGURED: OutcomeWords("trouble", "this app was set up wrongly", "misconfigured"),
    Outcome.THROTTLED: OutcomeWords("waiting", "put off: the sign-in service was busy", "throttled"),
    Outcome.UNAVAILABLE: OutcomeWords("waiting", "put off: the sign-in service did not answer", "unavailable"),
    Outcome.CONFLICT: OutcomeWords("waiting", "put off: you were signing in", "changed meanwhile"),
}
