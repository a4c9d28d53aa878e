"""An account as a row of Azure Table Storage, and back.

Facts from "Understanding the Table service data model": 64 KiB a property, 1 MiB and 252 properties of ours an entity;
a key of up to 1 KiB (512 UTF-16 characters) without `/ \\ # ?` and control characters.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from shared.accounts import Account, Attempt, Failure, Lease, Outcome, Source, State
from shared.errors import RowTooLarge
from shared.store.protocol import MOST_CACHE_BYTES, MOST_JSON_BYTES, AccountSummary, SweepRecord

CHUNK_BYTES = 64 * 1024
LONGEST_KEY = 512
_FORBIDDEN = frozenset('/\\#?%"')
_FAR_FUTURE_MICROSECONDS = 10**17

Entity = dict[str, Any]


def row_key(account_id: str) -> str:
    """`account_id` as a RowKey: percent-encoded where Table keys forbid a character; its SHA-256 when that is too
    long."""
    encoded = "".join(quote(each, safe="") if _is_forbidden(each) else each for each in account_id)
    if len(encoded.encode("utf-16-le")) // 2 > LONGEST_KEY:
        return hashlib.sha256(account_id.encode()).hexdigest()
    return encoded


def _is_forbidden(character: str) -> bool:
    return character in _FORBIDDEN or ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0


def to_entity(account: Account) -> Entity:
    """The whole row. Raises RowTooLarge."""
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
        "TaskState": _json("TaskState", account.task_state),
        "extra": _json("extra", account.extra),
        "SessionGeneration": account.session_generation,
        "CacheVersion": account.cache_version,
        **_failure_properties(account.failure),
        **activity(account),
        **_chunks(account.sealed_cache),
    }
    return {name: value for name, value in entity.items() if value is not None}


def activity(account: Account) -> Entity:
    """The properties that `touch` merges. No lease is the empty owner: MERGE ignores None."""
    lease = account.lease
    return {
        "LastActivity": account.last_activity,
        "DueAt": account.due_at,
        "LeaseOwner": lease.owner if lease else "",
        "LeaseUntil": lease.until if lease else account.last_activity,
    }


def from_entity(entity: Mapping[str, Any], etag: str) -> Account:
    """The account in a row."""
    return Account(
        account_id=entity["AccountId"],
        username=entity.get("Username", ""),
        tenant_id=entity.get("TenantId", ""),
        object_id=entity.get("ObjectId", ""),
        home_account_id=entity.get("HomeAccountId", ""),
        source=Source(entity.get("Source", Source.SIGN_IN)),
        state=State(entity.get("State", State.ACTIVE)),
        due_at=_time(entity["DueAt"]),
        last_activity=_time(entity["LastActivity"]),
        last_swept_at=_time_or_none(entity.get("LastSweptAt")),
        token_expires_at=_time_or_none(entity.get("TokenExpiresAt")),
        scopes=tuple(entity.get("Scopes", "").split()),
        failure=_failure(entity),
        recent=tuple(
            Attempt(datetime.fromisoformat(at), Outcome(outcome))
            for at, outcome in json.loads(entity.get("Recent", "[]"))
        ),
        task_state=json.loads(entity.get("TaskState", "{}")),
        extra=json.loads(entity.get("extra", "{}")),
        session_generation=entity.get("SessionGeneration", ""),
        lease=Lease(entity["LeaseOwner"], _time(entity["LeaseUntil"])) if entity.get("LeaseOwner") else None,
        cache_version=entity.get("CacheVersion", 0),
        sealed_cache=b"".join(entity[f"Cache{index}"] for index in range(entity.get("CacheCount", 0))),
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
    "NotifiedAt",
)


def summary(entity: Mapping[str, Any]) -> AccountSummary:
    """What a list shows, from a row of which only SUMMARY_PROPERTIES were read."""
    return AccountSummary(
        account_id=entity["AccountId"],
        username=entity.get("Username") or "",
        tenant_id=entity.get("TenantId") or "",
        source=Source(entity.get("Source") or Source.SIGN_IN),
        state=State(entity.get("State") or State.ACTIVE),
        due_at=_time(entity["DueAt"]),
        last_activity=_time(entity["LastActivity"]),
        last_swept_at=_time_or_none(entity.get("LastSweptAt")),
        failure=_failure(entity),
    )


def encoded_size(entity: Mapping[str, Any]) -> int:
    """About how many bytes this row takes in a transaction: binary travels as base64, with names, types and headers
    around it."""
    size = 1024
    for name, value in entity.items():
        size += 2 * len(name) + 64
        size += len(value) * 4 // 3 + 4 if isinstance(value, bytes) else len(str(value).encode())
    return size


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
    """What a row of Sweeps says."""
    names = [*(each.value for each in Outcome), "deleted"]
    return SweepRecord(
        started_at=_time(entity["StartedAt"]),
        seconds=entity["Seconds"],
        slots=entity["Slots"],
        counts={name: entity[name] for name in names if name in entity},
        oldest_overdue=entity["OldestOverdue"],
        stopped=entity.get("Stopped", ""),
    )


def _chunks(sealed: bytes) -> Entity:
    parts = [sealed[start : start + CHUNK_BYTES] for start in range(0, len(sealed), CHUNK_BYTES)]
    return {"CacheCount": len(parts)} | {f"Cache{index}": part for index, part in enumerate(parts)}


def _json(name: str, value: Mapping[str, Any]) -> str:
    text = json.dumps(dict(value), separators=(",", ":"), sort_keys=True)
    if len(text.encode()) > MOST_JSON_BYTES:
        raise RowTooLarge(name, len(text.encode()), MOST_JSON_BYTES)
    return text


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
    if "FailureCode" not in entity:
        return None
    return Failure(
        code=entity["FailureCode"],
        suberror=entity.get("FailureSuberror", ""),
        correlation_id=entity.get("FailureCorrelationId", ""),
        first_at=_time(entity["FailureFirstAt"]),
        last_at=_time(entity["FailureLastAt"]),
        count=entity.get("FailureCount", 1),
        notified_at=_time_or_none(entity.get("NotifiedAt")),
        claims=entity.get("FailureClaims") or "",
    )


def _time(value: datetime) -> datetime:
    """A plain datetime: the SDK's own subclass carries the service's text beside it."""
    return datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, tzinfo=UTC
    )


def _time_or_none(value: datetime | None) -> datetime | None:
    return None if value is None else _time(value)
