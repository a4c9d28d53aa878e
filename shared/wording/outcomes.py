"""The outcomes of a turn in words, and their kind: good, waiting for something, or trouble."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.accounts import Outcome

Kind = Literal["good", "waiting", "trouble"]


@dataclass(frozen=True, slots=True)
class OutcomeWords:
    """One outcome in words.

    Attributes:
        kind: the colour and sign of the outcome.
        to_person: what the person reads.
        label: what operators read in the legend of a chart.
    """

    kind: Kind
    to_person: str
    label: str


OUTCOME_WORDS: Mapping[Outcome, OutcomeWords] = {
    Outcome.FRESH: OutcomeWords("good", "went well", "fresh token"),
    Outcome.CACHED: OutcomeWords("good", "went well", "token still good"),
    Outcome.TASK_FAILED: OutcomeWords("trouble", "a task failed", "task failed"),
    Outcome.SIGN_IN_REQUIRED: OutcomeWords("trouble", "you had to sign in again", "sign-in required"),
    Outcome.UNREADABLE: OutcomeWords("trouble", "your stored sign-in could not be opened", "unreadable"),
    Outcome.MISCONFIGURED: OutcomeWords("trouble", "this app is not set up correctly", "misconfigured"),
    Outcome.THROTTLED: OutcomeWords("waiting", "postponed: the sign-in service was busy", "throttled"),
    Outcome.UNAVAILABLE: OutcomeWords("waiting", "postponed: the sign-in service did not answer", "unavailable"),
    Outcome.CONFLICT: OutcomeWords("waiting", "postponed: you were signing in", "changed meanwhile"),
}
