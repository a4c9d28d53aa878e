"""An account: one person in one tenant whose tokens we keep, and what has happened to them. Plain data, no I/O.

Times are aware datetimes in UTC.
"""

import hashlib
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from shared.accounts.outcomes import Outcome

SLOTS = 16
MOST_JSON_BYTES = 32 * 1024  # of `task_state`, and of `extra`, as JSON in ASCII: whatever the store
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class State(StrEnum):
    """What can be done for a person at present."""

    ACTIVE = "active"
    NEEDS_SIGN_IN = "needs_sign_in"
    UNREADABLE = "unreadable"


class Source(StrEnum):
    """How the person's tokens came to us."""

    SIGN_IN = "sign_in"
    ON_BEHALF_OF = "on_behalf_of"


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in, from a validated id token (or bearer token)."""

    account_id: str
    username: str
    tenant_id: str = ""
    object_id: str = ""
    home_account_id: str = ""
    name: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a person could not be acted for. Never a token, a code or a description with personal data.

    Attributes:
        code: AADSTS number as text, OAuth error code, or a word of ours.
        count: failures in a row.
        notified_at: when the person's notification was sent, if it was.
        claims: the tenant's claims challenge, which their next sign-in must satisfy, or "".
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


@dataclass(frozen=True, slots=True)
class Lease:
    """Who is redeeming this person's refresh token now, and until when others must wait."""

    owner: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One row of the table Accounts.

    Attributes:
        account_id: `<oid>.<tid>`, or `sub` for a plain OpenID provider. The only key.
        home_account_id: MSAL's; carries the home tenant of a guest.
        due_at: when a sweep must look at this row next, whatever its state.
        scopes: what the person granted; the sweep asks for these.
        recent: newest first, ten at most.
        task_state, extra: small JSON objects: the tasks', and the adopter's own.
        session_generation: browser sessions carry it; another value ends them.
        cache_version: counts the writes of `sealed_cache`. A new row begins at a random number, so that a row which was
            deleted and made anew is never taken for the old one.
        sealed_cache: the compressed and sealed MSAL token cache (sealing.KeyRing.open_cache).
        etag: of the row as it was read or written last; None for an account that was never stored.
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
    task_state: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
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
    def is_set_aside(self) -> bool:
        """Nothing is done for this person until they sign in again."""
        return self.state is State.NEEDS_SIGN_IN


def rebased(ours: Account, *, before: Account, known: Account | None) -> Account | None:
    """Our changes since `before`, on top of the row as it is now; None when it is gone or has another token cache.

    Nobody's new sign-in is overwritten, and no vanished row comes back.
    """
    if known is None or known.cache_version != before.cache_version:
        return None
    names = [each.name for each in fields(Account)]
    changes = {name: getattr(ours, name) for name in names if getattr(ours, name) != getattr(before, name)}
    return replace(known, **(changes | {"etag": known.etag}))


def slot_of(account_id: str) -> str:
    """First byte of SHA-256(account_id) modulo 16, as two hex digits."""
    return f"{hashlib.sha256(account_id.encode()).digest()[0] % SLOTS:02x}"


def all_slots() -> tuple[str, ...]:
    """The names of all slots, in order."""
    return tuple(f"{number:02x}" for number in range(SLOTS))
