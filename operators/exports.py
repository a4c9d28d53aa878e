"""The operators' list as JSON for scripts, and as CSV for spreadsheets."""

import csv
import io
import re
import unicodedata
from dataclasses import asdict, astuple, dataclass, fields
from datetime import datetime
from typing import Any

from operators.overview import ODD, Overview
from operators.reasons import reason_of
from shared.store import AccountPage, AccountSummary, OddRow

_FORMULA = ("=", "+", "-", "@")
_CONTROL = ("\t", "\r", "\n")
_SEPARATOR = re.compile(r"([;|\t\r\n])")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One account in both exports. The fields are the CSV's columns, in this order, and the JSON's keys.

    Times are ISO 8601 in UTC; None when it never happened. In the CSV file a row that can't be read has the state
    `odd`, its place in `odd_row`, and why in `failure_reason`; the JSON document lists such rows by themselves.
    """

    account_id: str
    username: str
    tenant_id: str
    source: str
    state: str
    due_at: str | None
    overdue: bool
    last_activity: str | None
    last_swept_at: str | None
    failure_code: str | None
    failure_reason: str | None
    failure_since: str | None
    failure_count: int
    correlation_id: str | None
    notified_at: str | None
    odd_row: str | None = None

    @classmethod
    def of(cls, account: AccountSummary, overdue_before: datetime) -> "AccountRow":
        """The row of one account; an account that was due before `overdue_before` is overdue."""
        failure = account.failure
        return cls(
            account_id=account.account_id,
            username=account.username,
            tenant_id=account.tenant_id,
            source=account.source.value,
            state=account.state.value,
            due_at=account.due_at.isoformat(),
            overdue=account.due_at < overdue_before,
            last_activity=account.last_activity.isoformat(),
            last_swept_at=_iso(account.last_swept_at),
            failure_code=failure.code if failure else None,
            failure_reason=reason_of(account) or None,
            failure_since=_iso(failure.first_at if failure else None),
            failure_count=failure.count if failure else 0,
            correlation_id=failure.correlation_id if failure else None,
            notified_at=_iso(failure.notified_at if failure else None),
        )

    @classmethod
    def of_odd(cls, row: OddRow) -> "AccountRow":
        """The row of a row that can't be read: nothing in it can be trusted but its place."""
        return cls(
            account_id="",
            username="",
            tenant_id="",
            source="",
            state=ODD,
            due_at=None,
            overdue=False,
            last_activity=None,
            last_swept_at=None,
            failure_code=None,
            failure_reason=row.reason,
            failure_since=None,
            failure_count=0,
            correlation_id=None,
            notified_at=None,
            odd_row=f"{row.slot}/{row.key}",
        )


def as_document(shown: Overview, next_path: str) -> dict[str, Any]:
    """Everything that the page shows, as plain JSON values.

    Args:
        next_path: the address of the next page, or "".
    """
    counted = shown.counted
    return {
        "heartbeat": {"state": shown.heartbeat.state, "late_seconds": round(shown.heartbeat.late.total_seconds())},
        "counts": {
            "as_of": counted.at.isoformat(),
            "states": {state.value: count for state, count in counted.headcount.states.items()},
            "overdue": counted.headcount.overdue,
            "odd": counted.headcount.odd,
        }
        if counted
        else None,
        "sweeps": [
            {
                "started_at": sweep.started_at.isoformat(),
                "seconds": sweep.seconds,
                "people": sweep.people,
                "people_per_second": round(sweep.rate, 2),
                "outcomes": sweep.counts,
                "oldest_overdue_seconds": sweep.oldest_overdue,
                "stopped": sweep.stopped,
            }
            for sweep in shown.sweeps
        ],
        "accounts": [asdict(AccountRow.of(each, shown.overdue_before)) for each in shown.page.accounts],
        "odd_rows": [{"slot": each.slot, "key": each.key, "reason": each.reason} for each in shown.page.odd],
        "next": next_path or None,
    }


def as_csv(page: AccountPage, overdue_before: datetime) -> str:
    """A header row, then one row per account, then one per row that can't be read (RFC 4180).

    What a spreadsheet would run gets an apostrophe in front (OWASP, "CSV Injection").
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([field.name for field in fields(AccountRow)])
    rows = [AccountRow.of(each, overdue_before) for each in page.accounts] + [*map(AccountRow.of_odd, page.odd)]
    for row in rows:
        cells = ["" if value is None else str(value) for value in astuple(row)]
        writer.writerow([_neutral(cell) for cell in cells])
    return text.getvalue()


def _neutral(cell: str) -> str:
    """The cell, with an apostrophe wherever a formula would begin: in front, and after whatever may end a cell.

    Where `,` is the decimal sign, spreadsheets take `;` for the separator: a cell begins there, within our quotes too.
    """
    pieces = [f"'{piece}" if _is_formula(piece) else piece for piece in _SEPARATOR.split(cell)]
    return ("'" if cell.startswith(_CONTROL) else "") + "".join(pieces)


def _is_formula(piece: str) -> bool:
    """Does it begin like a formula, perhaps in full width, or after spaces, quotes or characters that nobody sees?"""
    first = next((each for each in piece if each.isprintable() and each not in ' "'), "")
    return unicodedata.normalize("NFKC", first).startswith(_FORMULA)  # full width and small forms become ASCII


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
