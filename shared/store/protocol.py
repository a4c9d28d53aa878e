"""What an account store can do.

Every write of an account names the ETag that the account was read with (`Account.etag`); `None` means "must not exist
yet". A write whose answer was lost on the way is not a conflict: the store finds out whether it was committed.

The hint protocol loses nobody, and lets one sweep at a time into a slot.

- Whoever makes an account due earlier saves the account *first* and then calls `lower_hint`. That always writes, so the
  row's ETag moves.
- A sweep claims a slot with the ETag that it read, scans, and saves. Meanwhile it renews its claim. Before it reads the
  earliest due time again it stops renewing, and it finishes with the ETag of its last claim.
- When that ETag has moved, the row says why. Another owner: the slot is somebody else's now, and nothing is written.
  The same owner: somebody lowered the hint, and the claim alone goes.
- Lowering changes the hint alone. It takes effect when the claim ends.
- A hint is judged by the instance's clock, a claim by the lease clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Protocol

from shared.accounts import Account, Failure, Outcome, Source, State
from shared.errors import StoreError
from shared.store.slots import Slot

_NOT_REACHED = (Outcome.MISCONFIGURED, Outcome.THROTTLED, Outcome.UNAVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """What one sweep did.

    Attributes:
        counts: people by outcome, and `deleted`.
        seconds: wall clock.
        oldest_overdue: seconds by which the most overdue person was late when their turn came.
        stopped: why the sweep ended early, or "".
    """

    started_at: datetime
    seconds: float
    slots: int
    counts: dict[str, int] = field(default_factory=dict)
    oldest_overdue: float = 0.0
    stopped: str = ""

    @property
    def people(self) -> int:
        """Whose turn it was."""
        return sum(self.counts.values())

    @property
    def reached(self) -> int:
        """About whom the tenant, or their own row, gave an answer. The others were not acted for, and are tried
        again."""
        return self.people - sum(self.counts.get(each.value, 0) for each in _NOT_REACHED)

    @property
    def ended_at(self) -> datetime:
        """When it was over."""
        return self.started_at + timedelta(seconds=self.seconds)

    @property
    def rate(self) -> float:
        """People per second."""
        return self.people / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSummary:
    """What a list shows of one account: everything but its token cache, its tasks' state and `extra`."""

    account_id: str
    username: str
    tenant_id: str
    source: Source
    state: State
    due_at: datetime
    last_activity: datetime
    last_swept_at: datetime | None
    failure: Failure | None


def summary_of(account: Account) -> AccountSummary:
    """What a list shows of this account."""
    return AccountSummary(**{each.name: getattr(account, each.name) for each in fields(AccountSummary)})


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Some accounts of a list.

    Attributes:
        cursor: where the list goes on; "" at its end.
    """

    accounts: tuple[AccountSummary, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class Headcount:
    """How many accounts there are.

    Attributes:
        states: accounts by state; every state is there.
        overdue: of all of them, those who were due before the time asked about.
    """

    states: dict[State, int]
    overdue: int


class AccountStore(Protocol):
    """Accounts, the slots' hints, and the record of sweeps.

    All methods raise `StoreUnavailable` when the storage can't be reached or refuses us.
    """

    def get(self, account_id: str) -> Account | None:
        """Returns the account, or None when there is none."""
        ...

    def save(self, account: Account) -> Account:
        """Writes the whole account: activity and token cache in one write. Returns it as it is stored, with its new
        ETag. U+FFFD takes the place of characters that UTF-8 can't hold.

        Raises:
            Conflict: the row changed, appeared or vanished since `account.etag`.
            RowRefused, RowTooLarge: the storage will never take this account as it is. The stored row is untouched.
        """
        ...

    def save_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """Does `save` for accounts of one slot, in as few writes as fit; one result per account, in order. Whatever is
        wrong with one account is that account's result and costs nobody else's write."""
        ...

    def touch(self, account: Account) -> Account:
        """Writes last activity, due time and lease only. Raises Conflict."""
        ...

    def touch_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """Does `touch` for accounts of one slot, in as few writes as fit; one result per account, in order."""
        ...

    def delete(self, account_id: str, *, etag: str | None = None) -> bool:
        """Removes the row (if it is still as `etag` says); returns False when there is none. True when an answer was
        lost and the row is gone now. Raises Conflict."""
        ...

    def due(self, slot: str, now: datetime) -> Iterator[list[Account]]:
        """Yields pages of the accounts in `slot` that are due."""
        ...

    def earliest_due(self, slot: str, before: datetime) -> datetime | None:
        """Returns the smallest due time in `slot` that lies before `before`. Rows that `due` leaves out because they
        make no sense don't count."""
        ...

    def slots(self) -> list[Slot]:
        """Returns all slots, by one small read."""
        ...

    def lower_hint(self, slot: str, due_at: datetime) -> None:
        """Lowers the slot's hint after an account became due at `due_at`; writes it even when it is low enough."""
        ...

    def write_slot(self, slot: Slot) -> Slot | None:
        """Writes the row of a slot that is still as `slot.etag` says. Returns it with its new ETag; None when somebody
        was faster."""
        ...

    def record_sweep(self, record: SweepRecord) -> None:
        """Keeps what a sweep did."""
        ...

    def recent_sweeps(self, most: int) -> list[SweepRecord]:
        """Returns what the last sweeps did, newest first."""
        ...

    def list_accounts(
        self,
        *,
        state: State | None = None,
        username: str = "",
        due_before: datetime | None = None,
        cursor: str = "",
        most: int = 50,
    ) -> AccountPage:
        """Returns accounts in no order that means anything: all, or those in one state, whose username begins with
        `username` (any case), who were due before a time.

        A page has about `most` of them, and may have fewer, or none, before the end: it is a scan, cut into requests.

        Raises:
            ValueError: `cursor` is not one that a page of this list gave.
        """
        ...

    def count_accounts(self, overdue_before: datetime) -> Headcount:
        """Counts everybody. It may be a scan: not for every request."""
        ...
