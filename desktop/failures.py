"""Why a command did not do what it was asked for: one kind of error, with the exit code that goes with it."""

from collections.abc import Mapping
from typing import Any

from shared.error_codes import EntraError, code_of, explain

FAILED = 1
USAGE = 2
INTERACTION_NEEDED = 3

# A person has to do something in a browser; no other answer of this program can help.
_INTERACTION = frozenset(
    {
        "50058", "50072", "50074", "50076", "50079", "50158", "50173", "65001", "70008", "70043", "700082",
        "interaction_required", "login_required", "consent_required", "no_account", "no_refresh_token",
    }
)  # fmt: skip


class Failed(Exception):
    """A command failed.

    Attributes:
        code: an AADSTS number as text, an OAuth error, MSAL's client-side error, or a word of ours.
        reference: a correlation id to quote, or "".
        meaning: what happened, and who can fix it how.
        exit_code: FAILED, USAGE or INTERACTION_NEEDED.
        next_step: the command to run next, or "".
    """

    def __init__(
        self,
        code: str,
        *,
        meaning: EntraError | None = None,
        reference: str = "",
        exit_code: int | None = None,
        next_step: str = "",
    ) -> None:
        super().__init__(code)
        self.code = code
        self.reference = reference
        self.meaning = meaning or explain(code)
        self.exit_code = exit_code or (INTERACTION_NEEDED if code in _INTERACTION else FAILED)
        self.next_step = next_step

    @classmethod
    def of(cls, answer: Mapping[str, Any], *, next_step: str = "") -> "Failed":
        """From an error answer of MSAL. Its description is left out: it may hold whatever somebody put there."""
        failed = cls(code_of(answer), reference=str(answer.get("correlation_id", ""))[:64])
        failed.next_step = next_step if failed.exit_code == INTERACTION_NEEDED else ""
        return failed

    def line(self) -> str:
        """One line for people."""
        label = f"AADSTS{self.code}" if self.code.isdigit() else self.code
        facts = [f"fix: {self.meaning.fixer}", label] + ([f"reference {self.reference}"] if self.reference else [])
        step = f"Run: {self.next_step}" if self.next_step else ""
        words = [self.meaning.happened, self.meaning.remedy, step, f"({', '.join(facts)})"]
        return " ".join(word for word in words if word)

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "error": {
                "code": self.code,
                "happened": self.meaning.happened,
                "fix": self.meaning.fixer,
                "remedy": self.meaning.remedy,
                "reference": self.reference,
                "next_step": self.next_step,
            },
            "exit_code": self.exit_code,
        }


def usage(happened: str, remedy: str) -> Failed:
    """A command, an option or a setting that makes no sense."""
    return Failed("usage", meaning=EntraError("you", happened, remedy), exit_code=USAGE)
