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
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from shared.accounts import Account, Attempt, Failure, Lease, Outcome, Source, State
from shared.errors import RowTooLarge
from shared.store.checks import json_text
from shared.store.protocol import AccountSummary, SweepRecord

MOST_CACHE_BYTES = 880 * 1024  # a row takes 1 MiB, and both JSON texts twice their bytes (a table's text is UTF-16)
CHUNK_BYTES = 64 * 1024
LONGEST_KEY = 512
WRITE_ID = "WriteId"
_TO_ESCAPE = re.compile(r'_(?=x[0-9A-Fa-f]{4}_)|[/\\#?%+~"\x00-\x1f\x7f-\x9f]')
_FAR_FUTURE_MICROSECONDS = 10**17
_LAST_YEAR = 8999  # durations are added to times, and Python's end in 9999
_TEXTS = (
    "AccountId",
    "Username",
    "TenantId",
    "ObjectId",
    "HomeAccountId",
    "Scopes",
    "Recent",
    "TaskState",
    "extra",
    "SessionGeneration",
    "FailureCode",
    "FailureSuberror",
    "FailureCorrelationId",
    "FailureClaims",
    "LeaseOwner",
)
_NUMBERS = ("CacheVersion", "CacheCount", "FailureCount")
MAKES_NO_SENSE = (KeyError, ValueError, TypeError, AttributeError, RecursionError, OverflowError)
"""The errors of reading a row that somebody wrote by hand, or that another version wrote."""

Entity = dict[str, Any]
T = TypeVar("T")

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
        "UsernameFolded": account.username.casefold(),  # what the search by prefix looks at
        "TenantId": account.tenant_id,
        "ObjectId": account.object_id,
        "HomeAccountId": account.home_account_id,
        "Source": account.source.value,
        "State": account.state.value,
        "LastSweptAt": account.last_swept_at,
        "TokenExpiresAt": account.token_expires_at,
        "Scopes": " ".join(account.scopes),
        "Recent": json.dumps([[each.at.isoformat(), each.outcome.value] for each in account.recent]),
        "TaskState": json_text("TaskState", account.task_state),
        "extra": json_text("extra", account.extra),
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


def from_entity(entity: Mapping[str, Any], etag: str) -> Account:
    """The account in a row. Every value has the type that Account declares. Raises MAKES_NO_SENSE."""
    row = _checked(entity)
    return Account(
        account_id=row["AccountId"],
        username=row.get("Username", ""),
        tenant_id=row.get("TenantId", ""),
        object_id=row.get("ObjectId", ""),
        home_account_id=row.get("HomeAccountId", ""),
        source=Source(row.get("Source", Source.SIGN_IN)),
        state=State(row.get("State", State.ACTIVE)),
        due_at=_time(row["DueAt"]),
        last_activity=_time(row["LastActivity"]),
        last_swept_at=_time_or_none(row.get("LastSweptAt")),
        token_expires_at=_time_or_none(row.get("TokenExpiresAt")),
        scopes=tuple(row.get("Scopes", "").split()),
        failure=_failure(row),
        recent=tuple(
            Attempt(_time(datetime.fromisoformat(at)), Outcome(outcome))
            for at, outcome in json.loads(row.get("Recent", "[]"))
        ),
        task_state=_object(row.get("TaskState", "{}")),
        extra=_object(row.get("extra", "{}")),
        session_generation=row.get("SessionGeneration", ""),
        lease=Lease(row["LeaseOwner"], _time(row["LeaseUntil"])) if row.get("LeaseOwner") else None,
        cache_version=row.get("CacheVersion", 0),
        sealed_cache=b"".join(row[f"Cache{index}"] for index in range(row.get("CacheCount", 0))),
        etag=etag,
    )


SUMMARY_PROPERTIES = (
    "AccountId",
    "Username",
    "TenantId",
    "Source",
    "State",
    "DueAt",
    "LastActivity",
    "LastSweptAt",
    "FailureCode",
    "FailureSuberror",
    "FailureCorrelationId",
    "FailureFirstAt",
    "FailureLastAt",
    "FailureCount",
    "FailureClaims",
    "NotifiedAt",
)
"""What a list selects: every property that `summary` reads. tests/shared/test_store_tables.py holds them together."""


def summary(entity: Mapping[str, Any]) -> AccountSummary:
    """What a list shows, from a row of which only SUMMARY_PROPERTIES were read. Raises MAKES_NO_SENSE."""
    row = _checked(entity)
    return AccountSummary(
        account_id=row["AccountId"],
        username=row.get("Username", ""),
        tenant_id=row.get("TenantId", ""),
        source=Source(row.get("Source", Source.SIGN_IN)),
        state=State(row.get("State", State.ACTIVE)),
        due_at=_time(row["DueAt"]),
        last_activity=_time(row["LastActivity"]),
        last_swept_at=_time_or_none(row.get("LastSweptAt")),
        failure=_failure(row),
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
    counts = {name: row[name] for name in (*(each.value for each in Outcome), "deleted") if name in row}
    stopped = row.get("Stopped", "")
    if not isinstance(stopped, str) or any(type(each) is not int for each in (row["Slots"], *counts.values())):
        raise TypeError("a property has another type")
    return SweepRecord(
        started_at=_time(row["StartedAt"]),
        seconds=float(row["Seconds"]),
        slots=row["Slots"],
        counts=counts,
        oldest_overdue=float(row["OldestOverdue"]),
        stopped=stopped,
    )


def time_or_none(value: Any) -> datetime | None:
    """A property as a time; None when it is absent or no time of use."""
    try:
        return _time_or_none(value)
    except MAKES_NO_SENSE:
        return None


def standing(entity: Mapping[str, Any]) -> tuple[State, datetime]:
    """What a count looks at: the state and the due time. Raises MAKES_NO_SENSE."""
    row = _present(entity)
    return State(row.get("State", State.ACTIVE)), _time(row["DueAt"])


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


def _failure(row: Mapping[str, Any]) -> Failure | None:
    code = row.get("FailureCode")
    if code is None:
        return None
    return Failure(
        code=code,
        suberror=row.get("FailureSuberror", ""),
        correlation_id=row.get("FailureCorrelationId", ""),
        first_at=_time(row["FailureFirstAt"]),
        last_at=_time(row["FailureLastAt"]),
        count=row.get("FailureCount", 1),
        notified_at=_time_or_none(row.get("NotifiedAt")),
        claims=row.get("FailureClaims", ""),
    )


def _present(entity: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in entity.items() if value is not None}


def _checked(entity: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties that are there. Raises TypeError or ValueError for a text or a number that is none."""
    row = _present(entity)
    for name in _TEXTS:
        if not isinstance(row.get(name, ""), str):
            raise TypeError(f"{name} is not a text")
    for name in _NUMBERS:
        number = row.get(name, 0)
        if type(number) is not int:  # a bool is an int, too
            raise TypeError(f"{name} is not a number")
        if number < 0:
            raise ValueError(f"{name} is negative")
    return row


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return value


def _time(value: datetime) -> datetime:
    """A plain datetime in UTC: the SDK's own subclass carries the service's text as well. Raises MAKES_NO_SENSE."""
    if value.utcoffset():
        value = value.astimezone(UTC)
    if not isinstance(value, datetime) or value.year > _LAST_YEAR:
        raise ValueError("not a time of use")
    return datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, tzinfo=UTC
    )


def _time_or_none(value: datetime | None) -> datetime | None:
    return None if value is None else _time(value)
