"""What an account store can do.

Every write of an account names the ETag that the account was read with (`Account.etag`); `None` means "must not exist
yet". A write whose answer was lost on the way is not a conflict: the store finds out whether it was committed.

The hint protocol loses nobody, and lets one sweep at a time into a slot.

- `wake` makes an account due earlier: it adds a list with that account, saves the account, and then lowers the slot's
  hint. Lowering always writes, so the row's ETag moves.
- A sweep claims a slot with the ETag that it read, makes a pass over those who are due, and saves. Meanwhile it renews
  its claim. Before it reads when the next one is due it stops renewing, and it finishes with the ETag of its last
  claim.
- When that ETag has moved, the row says why. Another owner: the slot is somebody else's now, and nothing is written.
  The same owner: somebody lowered the hint, and the claim alone goes.
- Lowering changes the hint alone. It takes effect when the claim ends.
- A hint is judged by the instance's clock, a claim by the lease clock.

Lists make a pass cost what those cost who are due, however many are stored. Every account is in a list no later than
its `due_at`. A list may name accounts too early, twice, or that are gone: a pass looks at the rows.

- Being due later writes no list. A pass that is complete lists those whom it read at the times at which they are due
  now, and then deletes the lists that it read. Any other pass deletes nothing.
- A wake saves its row up to LONGEST_WAKE after its list. So a pass that finds nobody due in such a list looks again.
- `Slot.index` says that all accounts are listed. Without it, or when it is old, a pass lists all of them first, and the
  mark is written when the slot is given back. Instances of the first edition make no lists, and replace the slot's row
  whenever they sign somebody in or sweep: that takes the mark away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Protocol

from shared.accounts import Account, Failure, Outcome, Source, State
from shared.errors import StoreError
from shared.store.slots import Index, Slot

LONGEST_WAKE = timedelta(minutes=3)  # from its list to its row
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OddRow:
    """A row that can't be read as an account: somebody wrote it by hand, or another version did. No sweep acts for it.

    Attributes:
        slot, key: where it is. Both may be anything.
        reason: which property is odd; never a value of the row.
    """

    slot: str
    key: str
    reason: str
    etag: str


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Some accounts of a list.

    Attributes:
        cursor: where the list goes on; "" at its end.
        odd: rows of the same part of the list that can't be read.
    """

    accounts: tuple[AccountSummary, ...]
    cursor: str
    odd: tuple[OddRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Headcount:
    """How many accounts there are.

    Attributes:
        states: accounts by state; every state is there.
        overdue: of all of them, those who were due before the time asked about.
        odd: rows that can't be read. They are in no other number.
    """

    states: dict[State, int]
    overdue: int
    odd: int = 0


class SlotPass(Protocol):
    """One pass over the accounts of a claimed slot that are due. All methods raise `StoreUnavailable`.

    Attributes:
        index: the mark for the slot's row, once `pages` has begun. It holds whether or not the pass is complete.
    """

    index: Index | None

    def pages(self, now: datetime, *, odd_until: datetime) -> Iterator[list[Account]]:
        """Yields pages of the accounts that are due. Rows that can't be read are logged and left out.

        Args:
            odd_until: when such rows are looked at again.
        """
        ...

    def note(self, account: Account) -> None:
        """Notes when an account is due next, after it was saved. Accounts that nobody noted are looked up at the end:
        their rows changed meanwhile, or are gone."""
        ...

    def complete(self) -> None:
        """Ends a pass that yielded all its pages: lists everybody anew, and deletes the lists that it read."""
        ...

    def next_due(self) -> datetime | None:
        """Returns when the next account of the slot is due, or may be; None when it has none."""
        ...


class AccountStore(Protocol):
    """Accounts, the slots' hints, and the record of sweeps.

    All methods raise `StoreUnavailable` when the storage can't be reached or refuses us.
    """

    def get(self, account_id: str) -> Account | None:
        """Returns the account, or None when there is none.

        Raises:
            RowUnreadable: there is a row, and it can't be read.
        """
        ...

    def save(self, account: Account) -> Account:
        """Writes the whole account: activity and token cache in one write. Returns it as it is stored, with its new
        ETag. U+FFFD takes the place of characters that UTF-8 can't hold.

        Raises:
            Conflict: the row changed, appeared or vanished since `account.etag`.
            RowRefused, RowTooLarge: the storage will never take this account as it is. The stored row is untouched.
        """
        ...

    def wake(self, account: Account) -> Account:
        """Does `save` for an account that is due earlier than before, or new, and lowers its slot's hint: the sweep
        comes when it is due. Raises what `save` raises; then the account may be stored all the same."""
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
        """Removes the account's row, one that can't be read too. Returns False when there is none. True when an answer
        was lost and the row is gone now.

        With `etag`, the row goes only if it is still as that says. Without, it is read first and deleted as it was
        read, and again when it changed meanwhile; but not a row that was made anew. So no deletion that is held up on
        its way removes what was written after it.

        Raises:
            Conflict: the row is not as `etag` says.
        """
        ...

    def delete_odd(self, row: OddRow) -> bool:
        """Removes a row of a list that can't be read, if it is still as it was read. Returns False when there is none.

        Raises:
            Conflict: it changed since.
        """
        ...

    def due(self, slot: str, now: datetime) -> Iterator[list[Account]]:
        """Yields pages of the accounts in `slot` that are due, by a scan: for tools and tests. Rows that can't be read
        are logged and left out."""
        ...

    def begin_pass(self, slot: Slot) -> SlotPass:
        """Returns a pass over a slot, as it was written with the claim of the caller. Reads nothing yet."""
        ...

    def slots(self) -> list[Slot]:
        """Returns all slots, by one small read."""
        ...

    def lower_hint(self, slot: str, due_at: datetime) -> None:
        """Lowers the slot's hint; writes it even when it is low enough. For an account that became due there is
        `wake`."""
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
        odd: bool = False,
        cursor: str = "",
        most: int = 50,
    ) -> AccountPage:
        """Returns accounts in no order that means anything: all, or those in one state, whose username begins with
        `username` (any case), who were due before a time. Odd rows are in the list of all, and with `odd` they are the
        only ones; a list by state, username or time has those that the storage finds by it.

        A page has about `most` of them, and may have fewer, or none, before the end: it is a scan, cut into requests.

        Raises:
            ValueError: `cursor` is not one that a page of this list gave.
        """
        ...

    def count_accounts(self, overdue_before: datetime) -> Headcount:
        """Counts everybody, and rows that can't be read. It may be a scan: not for every request."""
        ...
