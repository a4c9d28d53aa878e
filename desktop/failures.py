"""Why a command failed: one exception, which carries its explanation and its exit code."""

from collections.abc import Mapping
from typing import Any

from desktop.error_texts import ERROR_TEXTS
from shared.error_codes import EntraError, code_of, explain

FAILED = 1
USAGE = 2
INTERACTION_NEEDED = 3

# A person has to sign in, or to confirm something, in a browser.
_INTERACTION = frozenset(
    {
        "50058", "50072", "50074", "50076", "50079", "50158", "50173", "65001", "70008", "70043", "700082",
        "interaction_required", "login_required", "consent_required", "no_account", "no_refresh_token",
    }
)  # fmt: skip


class Failed(Exception):
    """A command failed.

    Attributes:
        code: an AADSTS number as text, an OAuth error, or a key of `ERROR_TEXTS`.
        reference: the correlation id to quote, or "".
        meaning: what happened, who can fix it, and how.
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
        self.meaning = meaning or ERROR_TEXTS.get(code) or explain(code)
        self.exit_code = exit_code or (INTERACTION_NEEDED if code in _INTERACTION else FAILED)
        self.next_step = next_step

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], *, next_step: str = "") -> "Failed":
        """From an error answer of MSAL. Its description is left out: anything can be in it."""
        failed = cls(code_of(answer), reference=str(answer.get("correlation_id", ""))[:64])
        failed.next_step = next_step if failed.exit_code == INTERACTION_NEEDED else ""
        return failed

    def line(self) -> str:
        """The failure in one line, for people."""
        label = f"AADSTS{self.code}" if self.code.isdigit() else self.code
        facts = [f"fix: {self.meaning.fixer}", label] + ([f"reference {self.reference}"] if self.reference else [])
        step = f"Run: {self.next_step}" if self.next_step else ""
        words = [self.meaning.happened, self.meaning.remedy, step, f"({', '.join(facts)})"]
        return " ".join(word for word in words if word)

    def as_json(self) -> dict[str, Any]:
        """The failure for programs."""
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
    """The failure for a malformed command, option or setting."""
    return Failed("usage", meaning=EntraError("you", happened, remedy), exit_code=USAGE)
