"""What a campaign saw from outside. Times are seconds since 1970, by this machine's one clock."""

import bisect
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Window:
    """Something lasted from `begin` to `end`. `host` is 0 or 1, or 2 for both; None for the tenant."""

    kind: str
    begin: float
    end: float
    host: int | None = None

    def overlaps(self, begin: float, end: float) -> bool:
        """Whether any of it lies between."""
        return self.begin < end and begin < self.end


@dataclass
class Act:
    """What a person did, as their browser saw it.

    Attributes:
        end: when the answer came; infinity while none has come.
        status: of the answer; 0 for a connection that broke.
        session_of: for a sign-out: the sign-in of this browser.
    """

    what: str
    account: str
    host: int
    begin: float
    end: float = float("inf")
    status: int = 0
    session_of: "Act | None" = None


@dataclass(frozen=True)
class TokenRequest:
    """A line of the tenant's file. See chaos_tenant.py."""

    at: float
    done: float
    grant: str
    presented: str
    given: str
    account: str
    status: int
    whole: bool
    said: str

    @property
    def rotated(self) -> bool:
        """Was the presented refresh token redeemed, whether or not the answer arrived?"""
        return self.status == 200


@dataclass(frozen=True)
class Write:
    """One row of a transaction in Accounts, as a host sent it.

    Attributes:
        done: when the storage had answered.
        kind: POST, PUT, PATCH or DELETE.
        row: its properties. `tokens` beside them are the digests of the refresh tokens in its cache.
        committed: what the storage answered; None when nobody knows.
        answered: did the host get that answer?
    """

    at: float
    done: float
    host: int
    account: str
    kind: str
    row: dict[str, Any]
    tokens: tuple[str, ...]
    committed: bool | None
    answered: bool

    @property
    def lease(self) -> str:
        """The owner of the lease that it writes; "" for none."""
        return str(self.row.get("LeaseOwner") or "")


@dataclass(frozen=True)
class Message:
    """One send to the queue `sign-in-required`."""

    at: float
    done: float
    host: int
    id: str
    account: str
    since: str
    committed: bool | None


@dataclass(frozen=True)
class Row:
    """A row of Accounts as it was read directly."""

    account: str
    slot: str
    etag: str
    state: str
    due_at: float
    last_activity: float
    last_swept_at: float
    failure: str
    failure_first_at: str
    notified: bool
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Hint:
    """A row of Slots as it was read directly.

    Attributes:
        claimed: is a sweep said to be at work? For as long as the row says.
    """

    etag: str
    next_due_at: float
    claimed: bool


@dataclass(frozen=True)
class Look:
    """Both tables, read directly between `begin` and `end`."""

    begin: float
    end: float
    rows: dict[str, Row]
    hints: dict[str, Hint]


@dataclass
class Evidence:
    """All of it.

    Attributes:
        every, absent, tick, claim: seconds: the settings of the hosts.
        queued: ids of the messages that were in the queue at the end.
        logs: the hosts' logs.
        secrets: what must not be in them.
    """

    rotation: str
    every: float
    absent: float
    tick: float
    claim: float
    begin: float = 0.0
    end: float = 0.0
    windows: list[Window] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    requests: list[TokenRequest] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    storage_requests: int = 0
    storage_faults: int = 0
    names: dict[str, str] = field(default_factory=dict)

    @cached_property
    def chain(self) -> dict[str, tuple[str, float, str]]:
        """By a refresh token's digest: the first one of its family, when the family began, and whose it is."""
        known: dict[str, tuple[str, float, str]] = {}
        for each in sorted(self.requests, key=lambda each: each.at):
            if each.given and each.presented in known:
                known[each.given] = known[each.presented]
            elif each.given:
                known[each.given] = (each.given, each.at, each.account)
        return known

    @cached_property
    def writes_of(self) -> dict[str, list[Write]]:
        """By account, in the order in which the storage answered."""
        found: dict[str, list[Write]] = {}
        for each in sorted(self.writes, key=lambda each: each.done):
            found.setdefault(each.account, []).append(each)
        return found

    @cached_property
    def acts_of(self) -> dict[str, list[Act]]:
        """By account, in the order in which they began."""
        found: dict[str, list[Act]] = {}
        for each in sorted(self.acts, key=lambda each: each.begin):
            found.setdefault(each.account, []).append(each)
        return found

    def windows_of(self, *kinds: str) -> list[Window]:
        """Windows of these kinds."""
        return [each for each in self.windows if each.kind in kinds]

    def down(self) -> list[tuple[float, float]]:
        """When storage or tenant failed, or neither host ran: intervals that don't overlap, in order."""
        spans = [(each.begin, each.end) for each in self.windows_of("storage", "tenant")]
        dead = self.windows_of("kill", "pause")
        spans += [
            (max(one.begin, other.begin), min(one.end, other.end))
            for one in dead
            for other in dead
            if one.host == 0 and other.host == 1 and one.overlaps(other.begin, other.end)
        ]
        merged: list[tuple[float, float]] = []
        for begin, end in sorted(spans):
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return merged

    def looks_between(self, begin: float, end: float) -> list[Look]:
        """Looks that began and ended between."""
        first = bisect.bisect_left(self.looks, begin, key=lambda look: look.begin)
        return [look for look in self.looks[first:] if look.end <= end] if first < len(self.looks) else []

    def name(self, account: str) -> str:
        """A person's name for the report."""
        return self.names.get(account, account[:8])


def seconds_of(value: Any) -> float:
    """A table's time; 0.0 for none."""
    return value.timestamp() if isinstance(value, datetime) else 0.0
