"""The operators' list as JSON for scripts, and as CSV for spreadsheets."""

import csv
import io
import unicodedata
from dataclasses import asdict, astuple, dataclass, fields
from datetime import datetime
from typing import Any

from operators.overview import Overview
from operators.reasons import reason_of
from shared.store import AccountPage, AccountSummary

_FORMULA = ("=", "+", "-", "@")
_CONTROL = ("\t", "\r", "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One account in both exports. The fields are the CSV's columns, in this order, and the JSON's keys.

    Times are ISO 8601 in UTC; None when it never happened.
    """

    account_id: str
    username: str
    tenant_id: str
    source: str
    state: str
    due_at: str
    overdue: bool
    last_activity: str
    last_swept_at: str | None
    failure_code: str | None
    failure_reason: str | None
    failure_since: str | None
    failure_count: int
    correlation_id: str | None
    notified_at: str | None

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
        "next": next_path or None,
    }


def as_csv(page: AccountPage, overdue_before: datetime) -> str:
    """A header row, then one row per account (RFC 4180).

    A cell that a spreadsheet would run gets an apostrophe in front (OWASP, "CSV Injection").
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([field.name for field in fields(AccountRow)])
    for account in page.accounts:
        cells = ["" if value is None else str(value) for value in astuple(AccountRow.of(account, overdue_before))]
        writer.writerow([f"'{cell}" if is_formula(cell) else cell for cell in cells])
    return text.getvalue()


def is_formula(cell: str) -> bool:
    """Would a spreadsheet run this cell? It begins like a formula, perhaps after spaces or in full width, or with a
    control character after which a formula may begin."""
    first = unicodedata.normalize("NFKC", cell.lstrip()[:1])  # full width and small forms become ASCII
    return cell.startswith(_CONTROL) or first.startswith(_FORMULA)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
