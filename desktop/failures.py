"""Why a command failed: one error, with the exit code of the program."""

from collections.abc import Mapping
from typing import Any

from desktop.console import Console
from desktop.error_texts import ERROR_TEXTS
from shared.error_codes import EntraError, code_of, explain, explain_answer, number_of

FAILED = 1
USAGE = 2
INTERACTION_NEEDED = 3


class Failed(Exception):
    """A command failed.

    Attributes:
        code: a code of shared/error_codes.py or desktop/error_texts.py, or a word that the caller explains.
        reference: a correlation id to quote, or "".
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
        self.exit_code = exit_code or self.meaning.exit_code
        self.next_step = next_step

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], *, next_step: str = "") -> "Failed":
        """The failure for an error answer of MSAL. Its description is left out, as it may hold any text.

        Args:
            next_step: the command to run when only a person in a browser can help.
        """
        failed = cls(
            number_of(answer) or code_of(answer),
            meaning=explain_answer(answer),
            reference=str(answer.get("correlation_id", ""))[:64],
        )
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


def report(failed: Failed, console: Console, *, line: str = "") -> int:
    """Prints a failure. Returns the program's exit code.

    Args:
        line: for people, instead of the failure's own.
    """
    if console.as_json:
        console.show_result(failed.as_json(), [])
    else:
        console.show_event("failed", {}, line or failed.line())
    return failed.exit_code


def report_cancelled(console: Console) -> int:
    """Prints that Ctrl+C ended the command. Returns the program's exit code."""
    console.show_progress("")
    return report(Failed("cancelled"), console, line="Cancelled.")


def usage(happened: str, remedy: str) -> Failed:
    """The failure for a command, an option or a setting that makes no sense."""
    return Failed("usage", meaning=EntraError("you", happened, remedy), exit_code=USAGE)
