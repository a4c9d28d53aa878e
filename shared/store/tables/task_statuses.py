"""The statuses of a person's tasks as JSON, and back. What has its default is left out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.accounts import Choice, TaskFailure, TaskStatus

_LAST_YEAR = 8999


def to_json(tasks: Mapping[str, TaskStatus]) -> dict[str, dict[str, Any]]:
    """The statuses by task, as values of JSON."""
    return {name: _status_to_json(status) for name, status in tasks.items()}


def from_json(value: Mapping[str, Any]) -> dict[str, TaskStatus]:
    """The statuses. Raises ValueError, TypeError or AttributeError when they make no sense."""
    return {name: _status_from_json(each) for name, each in value.items()}


def _status_to_json(status: TaskStatus) -> dict[str, Any]:
    failure = status.failure
    values = {
        "choice": status.choice.value,
        "next": _text(status.next_at),
        "occurrence": _text(status.occurrence),
        "date": status.date,
        "done": status.done,
        "tries": status.tries,
        "waiting": status.waiting,
        "last": _text(status.last_at),
        "record": status.last_record,
        "failure": failure and [failure.reason, _text(failure.first_at), _text(failure.last_at), failure.count],
    }
    return {name: value for name, value in values.items() if value}


def _status_from_json(value: Mapping[str, Any]) -> TaskStatus:
    texts = {name: value.get(name, "") for name in ("choice", "date", "done", "waiting", "record")}
    failure, tries = value.get("failure"), value.get("tries", 0)
    if not all(isinstance(each, str) for each in texts.values()) or type(tries) is not int:
        raise TypeError("not a status")
    return TaskStatus(
        choice=Choice(texts["choice"]),
        next_at=_time(value.get("next")),
        occurrence=_time(value.get("occurrence")),
        date=texts["date"],
        done=texts["done"],
        tries=tries,
        waiting=texts["waiting"],
        last_at=_time(value.get("last")),
        last_record=texts["record"],
        failure=_failure(*failure) if failure else None,
    )


def _failure(reason: str, first_at: str, last_at: str, count: int) -> TaskFailure:
    first, last = _time(first_at), _time(last_at)
    if not isinstance(reason, str) or type(count) is not int or first is None or last is None:
        raise TypeError("not a failure")
    return TaskFailure(reason, first, last, count)


def _text(time: datetime | None) -> str:
    return time.astimezone(UTC).isoformat() if time else ""


def _time(text: Any) -> datetime | None:
    """Raises TypeError, ValueError."""
    if not text:
        return None
    time = datetime.fromisoformat(text).astimezone(UTC)
    if time.year > _LAST_YEAR:
        raise ValueError("not a time of use")
    return time
