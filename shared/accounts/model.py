"""An account: one person in one tenant, their tokens, and what has happened to them. Plain data, no I/O.

Times are aware datetimes in UTC.
"""

import hashlib
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from shared.accounts.lease import Lease
from shared.accounts.outcomes import Outcome
from shared.accounts.task_status import TaskStatus

SLOTS = 16
MOST_JSON_BYTES = 32 * 1024  # of `task_state`, and of `extra`, as JSON in ASCII: whatever the store
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class State(StrEnum):
    """What can be done for a person at present."""

    ACTIVE = "active"
    NEEDS_SIGN_IN = "needs_sign_in"
    UNREADABLE = "unreadable"


class Source(StrEnum):
    """How the app got the person's tokens."""

    SIGN_IN = "sign_in"
    ON_BEHALF_OF = "on_behalf_of"


@dataclass(frozen=True, slots=True)
class Person:
    """A person, by a verified id token or bearer token.

    Attributes:
        roles: app roles of the token.
    """

    account_id: str
    username: str
    tenant_id: str = ""
    object_id: str = ""
    home_account_id: str = ""
    name: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the app could not act for a person. Holds no token, no authorization code and no personal data.

    Attributes:
        code: an AADSTS number as text, an OAuth error, or a word of ours (shared/error_codes.py).
        first_at, last_at: of the failures in a row.
        count: failures in a row.
        notified_at: when the notification was sent (timer_worker/notifications.py); None before.
        claims: the tenant's claims challenge, which the next sign-in must satisfy; "" when there is none.
    """

    code: str
    first_at: datetime
    last_at: datetime
    suberror: str = ""
    correlation_id: str = ""
    count: int = 1
    notified_at: datetime | None = None
    claims: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One entry of the person's recent history."""

    at: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One row of the account store.

    Attributes:
        account_id: `<oid>.<tid>`, or `sub` for a plain OpenID provider. The only key.
        home_account_id: MSAL's; for a guest it names the home tenant.
        due_at: when a sweep must look at this row next, in any state.
        last_activity: the last recorded request of this person.
        scopes: what the person granted; the sweep asks for these.
        recent: newest first, ten at most.
        tasks: what is known about each task, by its name.
        task_state, extra: small JSON objects: the tasks' by name, and the adopter's own.
        time_zone: the person's, an IANA name; "" when they chose none.
        enrolment_id: made with the row. A person who left and came back has another one; "" in rows that are older than
            this property.
        session_generation: browser sessions carry it; another value ends them.
        cache_version: counts the writes of `sealed_cache`. A new row starts at a random number, so that it is not taken
            for a deleted one.
        sealed_cache: the compressed and sealed MSAL token cache (sealing.KeyRing.open_cache).
        etag: the row's, when it was last read or written; None for an account that was never stored.
    """

    account_id: str
    username: str = ""
    tenant_id: str = ""
    object_id: str = ""
    home_account_id: str = ""
    source: Source = Source.SIGN_IN
    state: State = State.ACTIVE
    due_at: datetime = EPOCH
    last_activity: datetime = EPOCH
    last_swept_at: datetime | None = None
    token_expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    failure: Failure | None = None
    recent: tuple[Attempt, ...] = ()
    tasks: dict[str, TaskStatus] = field(default_factory=dict)
    task_state: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    time_zone: str = ""
    enrolment_id: str = ""
    session_generation: str = ""
    lease: Lease | None = None
    cache_version: int = 0
    sealed_cache: bytes = field(default=b"", repr=False)
    etag: str | None = field(default=None, compare=False)

    @property
    def slot(self) -> str:
        """The slot that holds this account."""
        return slot_of(self.account_id)

    @property
    def earliest_task(self) -> datetime | None:
        """When the first of this person's tasks must run; None when no time is set for any."""
        return min((each.next_at for each in self.tasks.values() if each.next_at is not None), default=None)

    @property
    def is_set_aside(self) -> bool:
        """Must this person sign in again? Until then the app does not act for them."""
        return self.state is State.NEEDS_SIGN_IN


def rebased(ours: Account, *, before: Account, known: Account | None) -> Account | None:
    """Our changes since `before`, on top of the row as it is now; None when nothing of them is to be saved.

    A deleted row does not come back, and a row with another token cache is not overwritten: after a newer sign-in of
    the same enrolment only what the tasks did is laid on top, task by task. A lease is changed only by its holder: when
    somebody else has taken one since `before`, theirs stays. An earlier due time that was written since stays too.
    """
    if known is None:
        return None
    names = [each.name for each in fields(Account)]
    changes = {name: getattr(ours, name) for name in names if getattr(ours, name) != getattr(before, name)}
    if known.cache_version != before.cache_version:
        same_person_stayed = known.enrolment_id and known.enrolment_id == before.enrolment_id
        changes = {name: changes[name] for name in ("tasks", "task_state", "due_at") if name in changes}
        if not same_person_stayed or not changes.keys() & {"tasks", "task_state"}:
            return None
    for name in ("tasks", "task_state"):
        if name in changes:
            then, done = getattr(before, name), changes[name]
            changes[name] = getattr(known, name) | {task: done[task] for task in done if done[task] != then.get(task)}
    if (known.lease and known.lease.owner) != (before.lease and before.lease.owner):
        changes.pop("lease", None)
    if "due_at" in changes and known.due_at != before.due_at:
        changes["due_at"] = min(ours.due_at, known.due_at)
    return replace(known, **(changes | {"etag": known.etag}))


def slot_of(account_id: str) -> str:
    """First byte of SHA-256(account_id) modulo 16, as two hex digits."""
    return f"{hashlib.sha256(account_id.encode()).digest()[0] % SLOTS:02x}"


def all_slots() -> tuple[str, ...]:
    """The names of all slots, in order."""
    return tuple(f"{number:02x}" for number in range(SLOTS))
