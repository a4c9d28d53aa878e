"""The fault matrix as data: what can fail, and how it ends for the sweep and for the person in the browser.

tests/reliability/test_matrix.py holds the app to every row; docs/reliability.md is written from the same rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from shared.accounts import State
from tests.reliability.scene import Scene


class Due(StrEnum):
    """When the sweep looks at the account next, in the words of docs/reliability.md."""

    STILL = "still due"
    RETRY_AFTER = "after Retry-After"
    BACKOFF = "back-off"
    TURN = "as usual"
    THEIRS = "by the new sign-in"
    GONE = "never"
    RETENTION = "after a sign-in"


class Level(StrEnum):
    """How loud the operator's one line is."""

    NONE = "nothing"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Swept:
    """How a sweep ends for the person whom the fault hits.

    Attributes:
        outcome: counted in the record; "" when their turn was not counted.
        code: of the failure kept on the account; "" for none.
        line: a regular expression for the operator's line.
        stopped: part of the record's reason for an early end; "" when the sweep went on.
        then: what the next sweep does once the fault is over ("" nothing).
        fails: the invocation itself fails: there is nothing that the sweep could still do.
    """

    outcome: str
    state: State = State.ACTIVE
    code: str = ""
    due: Due = Due.BACKOFF
    level: Level = Level.WARNING
    line: str
    stopped: str = ""
    then: str = "fresh"
    fails: bool = False

    @property
    def reason(self) -> str:
        """What the operator's line ends with: the outcome and its code."""
        return self.line.rsplit(".*", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the person sees at /me.

    Attributes:
        code: the word in the page that names the problem; "" for their profile.
        state: of the account afterwards; None when there is none.
        line: a regular expression for the operator's line.
    """

    status: int = 200
    code: str = ""
    words: str = ""
    state: State | None = State.ACTIVE
    level: Level = Level.ERROR
    line: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault.

    Attributes:
        api: the status for a caller of /api/profile, where it isn't the one for the person in the browser: who brings a
            token of their own can be helped by an exchange.
    """

    group: str
    fault: str
    happen: Callable[[Scene], None]
    swept: Swept | None = None
    seen: Seen | None = None
    mend: Callable[[Scene], None] = field(default=Scene.mend)
    api: int = 0

    @property
    def called(self) -> int:
        """The status that a caller of /api/profile gets; 0 when the row says nothing about it."""
        return self.api or (self.seen.status if self.seen else 0)

    @property
    def name(self) -> str:
        """For test ids: the fault, and how it ends."""
        return f"{self.group}: {self.fault}"


TRY_AGAIN = "try again in a moment"
