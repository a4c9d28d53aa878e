"""An account as a row of Azure Table Storage, and back.

Facts from "Understanding the Table service data model": 64 KiB per property, 1 MiB and 252 properties of ours per
entity; a key of up to 1 KiB (512 UTF-16 characters) without `/ \\ # ?` and control characters.
From "PartitionKey or RowKey containing the percent '%' character causes some Windows Azure Tables APIs to fail"
(Microsoft's Azure Storage team blog, 28 May 2012): the service decodes a URL's path twice, so a key with `%` can't be
addressed by URL. In the body of a transaction and in a filter it can. Two more characters made trouble in URLs: `+`
(StringToTableKey in Microsoft's EmbeddedSocial escapes it) and `~` (Azure/azure-storage-python issue 76).

A null property is an absent one, wherever it is read: the service writes null for a selected property that a row lacks.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, TypeVar

from shared.accounts import Account, Attempt, Failure, Lease, Outcome, Source, State, TaskStatus
from shared.errors import RowRefused, RowTooLarge
from shared.store.checks import json_text
from shared.store.protocol import SweepRecord
from shared.store.tables import task_statuses

MOST_CACHE_BYTES = 880 * 1024  # a row takes 1 MiB, and both JSON texts twice their bytes (a table's text is UTF-16)
CHUNK_BYTES = 64 * 1024
LONGEST_KEY = 512
WRITE_ID = "WriteId"
_TO_ESCAPE = re.compile(r'_(?=x[0-9A-Fa-f]{4}_)|[/\\#?%+~"\x00-\x1f\x7f-\x9f]')
_FAR_FUTURE_MICROSECONDS = 10**17
_LAST_YEAR = 8999  # durations are added to times, and Python's end in 9999
_MOST_NUMBER = 2**53  # numbers are counted on, and the service's end at 2**63
_MOST_CHUNKS = 252  # properties of ours per entity
_MOST_FOLDED = 512  # characters; a folded text may be three times as long, and a property takes 64 KiB
_MOST_ATTEMPTS = 10  # see Account.recent
_MOST_SECONDS = 3 * 10**10  # of a sweep: with _LAST_YEAR still before the end of Python's times
PROPERTIES = (
    "PartitionKey",
    "RowKey",
    "AccountId",
    "Username",
    "TenantId",
    "ObjectId",
    "HomeAccountId",
    "Source",
    "State",
    "DueAt",
    "LastActivity",
    "LastSweptAt",
    "TokenExpiresAt",
    "Scopes",
    "FailureCode",
    "FailureSuberror",
    "FailureCorrelationId",
    "FailureFirstAt",
    "FailureLastAt",
    "FailureCount",
    "NotifiedAt",
    "FailureClaims",
    "Recent",
    "Tasks",
    "TaskState",
    "extra",
    "TimeZone",
    "EnrolmentId",
    "SessionGeneration",
    "LeaseOwner",
    "LeaseUntil",
    "CacheVersion",
    "CacheCount",
)
"""All that `from_entity` reads but the token cache: what a list selects. tests/shared/test_store_tables.py holds them
together."""
MAKES_NO_SENSE = (KeyError, ValueError, TypeError, AttributeError, RecursionError, OverflowError)
"""The errors of reading a value that somebody wrote by hand, or that another version wrote."""

Entity = dict[str, Any]
T = TypeVar("T")


class _Required:
    """Says that a property may not be absent."""


_REQUIRED = _Required()

logger = logging.getLogger(__name__)


def row_key(account_id: str) -> str:
    """`account_id` as a RowKey: characters that a key or a URL can't hold as `_xHHHH_` (the form of .NET's
    XmlConvert.EncodeName, and like there an underscore that begins such a form); the SHA-256 of all when that is too
    long. Raises UnicodeEncodeError for an unpaired surrogate."""
    key = _TO_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", account_id)
    if len(key.encode("utf-16-le")) // 2 > LONGEST_KEY:
        return hashlib.sha256(account_id.encode()).hexdigest()
    return key


def to_entity(account: Account) -> Entity:
    """The whole row, named as the write that replaces the row with `account.etag`. Raises RowRefused."""
    if len(account.sealed_cache) > MOST_CACHE_BYTES:
        raise RowTooLarge("token cache", len(account.sealed_cache), MOST_CACHE_BYTES)
    entity: Entity = {
        "PartitionKey": account.slot,
        "RowKey": row_key(account.account_id),
        "AccountId": account.account_id,
        "Username": account.username,
        "UsernameFolded": account.username.casefold()[:_MOST_FOLDED],  # what the search by prefix looks at
        "TenantId": account.tenant_id,
        "ObjectId": account.object_id,
        "HomeAccountId": account.home_account_id,
        "Source": account.source.value,
        "State": account.state.value,
        "LastSweptAt": account.last_swept_at,
        "TokenExpiresAt": account.token_expires_at,
        "Scopes": " ".join(account.scopes),
        "Recent": json.dumps([[each.at.isoformat(), each.outcome.value] for each in account.recent]),
        "Tasks": json_text("Tasks", task_statuses.to_json(account.tasks)) if account.tasks else None,
        "TaskState": json_text("TaskState", account.task_state),
        "extra": json_text("extra", account.extra),
        "TimeZone": account.time_zone or None,
        "EnrolmentId": account.enrolment_id or None,
        "SessionGeneration": account.session_generation,
        "CacheVersion": account.cache_version,
        **_failure_properties(account.failure),
        **_activity(account),
        **_chunks(account.sealed_cache),
    }
    return _named({name: value for name, value in entity.items() if value is not None}, account)


def to_activity(account: Account) -> Entity:
    """What `touch` merges into the row: activity, due time and lease."""
    return _named({"PartitionKey": account.slot, "RowKey": row_key(account.account_id), **_activity(account)}, account)


def sense_of(row: Mapping[str, Any], read: Callable[[Any], T], table: str) -> T | None:
    """What `read` makes of the row; None, and a line in the log, when it makes no sense: it must not hide others."""
    try:
        return read(row)
    except MAKES_NO_SENSE as error:
        logger.error("a row of %s makes no sense and is left out: %s", table, type(error).__name__)
        return None


class OddValue(ValueError):
    """A property is missing, or is not what it must be. The text names the property, and holds no value of the row."""


def from_entity(entity: Mapping[str, Any], etag: str) -> Account:
    """The account in a row. Every value has the type that Account declares, and can be written again: else a redeemed
    token could never be saved, nor a sign-in.

    A token cache of which a part is missing, or is not bytes, ends before that part. It can't be opened then, which is
    an outcome of its own (`unreadable`), and nothing is odd about the rest.

    Raises:
        OddValue: the row can't be read. Nothing else: every value passes through `_value`.
    """
    lease_owner = _value(entity, "LeaseOwner", "a text", _text, "")
    count = _value(entity, "CacheCount", "a number", _number, 0)
    chunks: Iterator[Any] = (entity.get(f"Cache{index}") for index in range(min(count, _MOST_CHUNKS)))
    return Account(
        account_id=_value(entity, "AccountId", "a text", _text),
        username=_value(entity, "Username", "a text", _text, ""),
        tenant_id=_value(entity, "TenantId", "a text", _text, ""),
        object_id=_value(entity, "ObjectId", "a text", _text, ""),
        home_account_id=_value(entity, "HomeAccountId", "a text", _text, ""),
        source=_value(entity, "Source", "a source", Source, Source.SIGN_IN),
        state=_value(entity, "State", "a state", State, State.ACTIVE),
        due_at=_value(entity, "DueAt", "a time", _time),
        last_activity=_value(entity, "LastActivity", "a time", _time),
        last_swept_at=_value(entity, "LastSweptAt", "a time", _time, None),
        token_expires_at=_value(entity, "TokenExpiresAt", "a time", _time, None),
        scopes=tuple(_value(entity, "Scopes", "a text", _text, "").split()),
        failure=_failure(entity),
        recent=_value(entity, "Recent", "a list of turns", _attempts, ()),
        tasks=_value(entity, "Tasks", "an object of statuses", _statuses, {}),
        task_state=_object(entity, "TaskState"),
        extra=_object(entity, "extra"),
        time_zone=_value(entity, "TimeZone", "a text", _text, ""),
        enrolment_id=_value(entity, "EnrolmentId", "a text", _text, ""),
        session_generation=_value(entity, "SessionGeneration", "a text", _text, ""),
        lease=Lease(lease_owner, _value(entity, "LeaseUntil", "a time", _time)) if lease_owner else None,
        cache_version=_value(entity, "CacheVersion", "a number", _number, 0),
        sealed_cache=b"".join(takewhile(_is_bytes, chunks)),
        etag=etag,
    )


def sweep_entity(record: SweepRecord, suffix: str) -> Entity:
    """One row of Sweeps; the key counts down, so that the newest is first."""
    microseconds = int(record.started_at.timestamp() * 1_000_000)
    return {
        "PartitionKey": "sweeps",
        "RowKey": f"{_FAR_FUTURE_MICROSECONDS - microseconds:018d}-{suffix}",
        "StartedAt": record.started_at,
        "Seconds": record.seconds,
        "AccountsPerSecond": record.rate,
        "OldestOverdue": record.oldest_overdue,
        "Slots": record.slots,
        "Stopped": record.stopped,
        **record.counts,
    }


def sweep_record(entity: Mapping[str, Any]) -> SweepRecord:
    """What a row of Sweeps says. Raises MAKES_NO_SENSE."""
    row = _present(entity)
    counts = {name: _number(row[name]) for name in (*(each.value for each in Outcome), "deleted") if name in row}
    return SweepRecord(
        started_at=_time(row["StartedAt"]),
        seconds=_seconds(row["Seconds"]),
        slots=_number(row["Slots"]),
        counts=counts,
        oldest_overdue=_seconds(row["OldestOverdue"]),
        stopped=_text(row.get("Stopped", "")),
    )


def time_or_none(value: Any) -> datetime | None:
    """A property as a time; None when it is absent or no time of use."""
    try:
        return None if value is None else _time(value)
    except MAKES_NO_SENSE:
        return None


def _activity(account: Account) -> Entity:
    """The properties that `touch` merges. No lease is an empty owner, because a merge leaves absent properties alone.

    Raises:
        AttributeError: `due_at` or `last_activity` is not a time. No scan would find such a row.
    """
    lease = account.lease
    return {
        "LastActivity": account.last_activity.astimezone(UTC),
        "DueAt": account.due_at.astimezone(UTC),
        "LeaseOwner": lease.owner if lease else "",
        "LeaseUntil": lease.until if lease else account.last_activity,
    }


def _named(entity: Entity, account: Account) -> Entity:
    """The entity with the name of its write. The same content on top of the same row has the same name, however often
    it is tried. A row with this name proves that this very write was committed."""
    name = hashlib.blake2b(str(account.etag).encode(), digest_size=12)
    texts = [str(value) for value in entity.values() if not isinstance(value, bytes)]
    name.update("\0".join([*entity, *map(str, map(len, texts)), *texts]).encode())
    name.update(account.sealed_cache)
    return entity | {WRITE_ID: name.hexdigest()}


def _chunks(sealed: bytes) -> Entity:
    parts = [sealed[start : start + CHUNK_BYTES] for start in range(0, len(sealed), CHUNK_BYTES)]
    return {"CacheCount": len(parts)} | {f"Cache{index}": part for index, part in enumerate(parts)}


def _failure_properties(failure: Failure | None) -> Entity:
    if failure is None:
        return {}
    return {
        "FailureCode": failure.code,
        "FailureSuberror": failure.suberror,
        "FailureCorrelationId": failure.correlation_id,
        "FailureFirstAt": failure.first_at,
        "FailureLastAt": failure.last_at,
        "FailureCount": failure.count,
        "NotifiedAt": failure.notified_at,
        "FailureClaims": failure.claims or None,
    }


def _failure(entity: Mapping[str, Any]) -> Failure | None:
    code = _value(entity, "FailureCode", "a text", _text, None)
    if code is None:
        return None
    return Failure(
        code=code,
        suberror=_value(entity, "FailureSuberror", "a text", _text, ""),
        correlation_id=_value(entity, "FailureCorrelationId", "a text", _text, ""),
        first_at=_value(entity, "FailureFirstAt", "a time", _time),
        last_at=_value(entity, "FailureLastAt", "a time", _time),
        count=_value(entity, "FailureCount", "a number", _number, 1),
        notified_at=_value(entity, "NotifiedAt", "a time", _time, None),
        claims=_value(entity, "FailureClaims", "a text", _text, ""),
    )


def _value(
    row: Mapping[str, Any], name: str, kind: str, read: Callable[[Any], T], absent: T | _Required = _REQUIRED
) -> T:
    """A property of the row; `absent` when the row lacks it. Raises OddValue."""
    value = row.get(name)
    if value is None:
        if isinstance(absent, _Required):
            raise OddValue(f"{name} is missing")
        return absent
    try:
        return read(value)
    except MAKES_NO_SENSE as error:
        raise OddValue(f"{name} is not {kind}") from error


def _present(entity: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in entity.items() if value is not None}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    value.encode()  # an unpaired surrogate could be neither shown nor written again
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MOST_NUMBER:  # a bool is an int, too
        raise ValueError("not a number")
    return value


def _object(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A property as a JSON object. Written by another hand it may be shorter than we write it: without escapes."""

    def read(text: str) -> dict[str, Any]:
        value = json.loads(_text(text))
        if not isinstance(value, dict):
            raise TypeError("not a JSON object")
        return value

    value: dict[str, Any] = _value(row, name, "a JSON object", read, {})
    try:
        json_text(name, value)
    except RowRefused as error:
        raise OddValue(f"{name} is not a JSON object that can be written again") from error
    return value


def _statuses(text: str) -> dict[str, TaskStatus]:
    return task_statuses.from_json(json.loads(_text(text)))


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds <= _MOST_SECONDS:  # no NaN, either
        raise ValueError("not a number of seconds")
    return seconds


def _attempts(text: str) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(_time(datetime.fromisoformat(at)), Outcome(outcome)) for at, outcome in json.loads(_text(text))
    )[:_MOST_ATTEMPTS]


def _is_bytes(chunk: Any) -> bool:
    return isinstance(chunk, bytes)


def _time(value: datetime) -> datetime:
    """A plain datetime in UTC: the SDK's own subclass carries the service's text as well. Raises MAKES_NO_SENSE."""
    if value.utcoffset():
        value = value.astimezone(UTC)
    if not isinstance(value, datetime) or value.year > _LAST_YEAR:
        raise ValueError("not a time of use")
    return datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, tzinfo=UTC
    )
