"""The list for scripts and spreadsheets."""

import csv
import io
from datetime import datetime
from typing import Any

from operators.overview import Overview
from operators.reasons import reason_of
from shared.store import AccountPage, AccountSummary, SweepRecord

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet may run a cell that begins so
_COLUMNS = (
    "account_id",
    "username",
    "tenant_id",
    "source",
    "state",
    "due_at",
    "overdue",
    "last_activity",
    "last_swept_at",
    "failure_code",
    "failure_reason",
    "failure_since",
    "failure_count",
    "correlation_id",
    "notified_at",
)


def as_document(shown: Overview, next_path: str) -> dict[str, Any]:
    """Everything that the page shows, as plain JSON values. Times are ISO 8601."""
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
        "sweeps": [_sweep(each) for each in shown.sweeps],
        "accounts": [row_of(each, shown.overdue_before) for each in shown.page.accounts],
        "next": next_path or None,
    }


def as_csv(page: AccountPage, overdue_before: datetime) -> str:
    """One row an account, with a row of names on top."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for account in page.accounts:
        row = row_of(account, overdue_before)
        writer.writerow([_cell(row[name]) for name in _COLUMNS])
    return text.getvalue()


def row_of(account: AccountSummary, overdue_before: datetime) -> dict[str, Any]:
    """One account as plain JSON values."""
    failure = account.failure
    return {
        "account_id": account.account_id,
        "username": account.username,
        "tenant_id": account.tenant_id,
        "source": account.source.value,
        "state": account.state.value,
        "due_at": account.due_at.isoformat(),
        "overdue": account.due_at < overdue_before,
        "last_activity": account.last_activity.isoformat(),
        "last_swept_at": _iso(account.last_swept_at),
        "failure_code": failure.code if failure else None,
        "failure_reason": reason_of(account) or None,
        "failure_since": _iso(failure.first_at if failure else None),
        "failure_count": failure.count if failure else 0,
        "correlation_id": failure.correlation_id if failure else None,
        "notified_at": _iso(failure.notified_at if failure else None),
    }


def _sweep(record: SweepRecord) -> dict[str, Any]:
    return {
        "started_at": record.started_at.isoformat(),
        "seconds": record.seconds,
        "people": record.people,
        "people_per_second": round(record.rate, 2),
        "outcomes": record.counts,
        "oldest_overdue_seconds": record.oldest_overdue,
        "stopped": record.stopped,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
