"""An account store in memory: for tests of what stands on a store, and the model of the contract."""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from shared.accounts import EPOCH, Account, State, all_slots, slot_of
from shared.errors import Conflict, RowUnreadable, StoreError
from shared.store.checks import json_text, mended
from shared.store.protocol import AccountPage, Headcount, OddRow, SweepRecord, summary_of
from shared.store.slots import Index, Slot

_ACCOUNTS_PER_PAGE = 100
_NEVER_WRITTEN = {name: Slot(name, EPOCH) for name in all_slots()}


class MemoryAccountStore:
    """`AccountStore` in a dict."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._versions = itertools.count(1)
        self._accounts: dict[str, Account] = {}
        self._odd: dict[str, OddRow] = {}
        self._slots: dict[str, Slot] = {}
        self._sweeps: list[SweepRecord] = []

    def get(self, account_id: str) -> Account | None:
        """See AccountStore."""
        with self._lock:
            odd = self._odd.get(account_id)
            if odd is not None:
                raise RowUnreadable(odd.slot, odd.key, odd.reason, odd.etag)
            return self._accounts.get(account_id)

    def spoil(self, account_id: str, reason: str) -> None:
        """Makes the account's row one that can't be read, as somebody's hand would in a table."""
        with self._lock:
            self._accounts.pop(account_id, None)
            self._odd[account_id] = OddRow(slot=slot_of(account_id), key=account_id, reason=reason, etag=self._etag())

    def save(self, account: Account) -> Account:
        """See AccountStore."""
        account = mended(account)
        texts = [json_text("TaskState", account.task_state), json_text("extra", account.extra)]
        task_state, extra = (json.loads(text) for text in texts)  # copies: nobody else changes what is stored
        with self._lock:
            self._expect(account)
            saved = replace(account, task_state=task_state, extra=extra, etag=self._etag())
            self._odd.pop(account.account_id, None)
            self._accounts[account.account_id] = saved
            return saved

    def wake(self, account: Account) -> Account:
        """See AccountStore."""
        saved = self.save(account)
        self.lower_hint(saved.slot, saved.due_at)
        return saved

    def save_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """See AccountStore."""
        return [_try(self.save, account) for account in accounts]

    def touch(self, account: Account) -> Account:
        """See AccountStore."""
        with self._lock:
            self._expect(account)
            known = self._accounts.get(account.account_id)
            if known is None:
                raise Conflict(account.account_id)
            touched = replace(
                known,
                last_activity=account.last_activity,
                due_at=account.due_at,
                lease=account.lease,
                etag=self._etag(),
            )
            self._accounts[account.account_id] = touched
            return touched

    def touch_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """See AccountStore."""
        return [_try(self.touch, account) for account in accounts]

    def delete(self, account_id: str, *, etag: str | None = None) -> bool:
        """See AccountStore."""
        with self._lock:
            known = self._accounts.get(account_id) or self._odd.get(account_id)
            if known is None:
                return False
            if etag is not None and etag != known.etag:
                raise Conflict(account_id)
            self._accounts.pop(account_id, None)
            self._odd.pop(account_id, None)
            return True

    def delete_odd(self, row: OddRow) -> bool:
        """See AccountStore."""
        return self.delete(row.key, etag=row.etag)

    def due(self, slot: str, now: datetime) -> Iterator[list[Account]]:
        """See AccountStore."""
        with self._lock:
            found = [each for each in self._accounts.values() if each.slot == slot and each.due_at <= now]
        for start in range(0, len(found), _ACCOUNTS_PER_PAGE):
            yield found[start : start + _ACCOUNTS_PER_PAGE]

    def begin_pass(self, slot: Slot) -> "MemorySlotPass":
        """See AccountStore."""
        return MemorySlotPass(self, slot)

    def next_due(self, slot: str) -> datetime | None:
        """The smallest due time in the slot. Odd rows don't count."""
        with self._lock:
            return min((each.due_at for each in self._accounts.values() if each.slot == slot), default=None)

    def slots(self) -> list[Slot]:
        """See AccountStore."""
        with self._lock:
            return list((_NEVER_WRITTEN | self._slots).values())

    def lower_hint(self, slot: str, due_at: datetime) -> None:
        """See AccountStore."""
        with self._lock:
            known = self._slots.get(slot, Slot(slot, EPOCH))
            self._slots[slot] = replace(known.lower(due_at), etag=self._etag())

    def write_slot(self, slot: Slot) -> Slot | None:
        """See AccountStore."""
        with self._lock:
            known = self._slots.get(slot.name)
            if (known.etag if known else None) != slot.etag:
                return None
            self._slots[slot.name] = replace(slot, etag=self._etag())
            return self._slots[slot.name]

    def record_sweep(self, record: SweepRecord) -> None:
        """See AccountStore."""
        with self._lock:
            self._sweeps.append(record)

    def recent_sweeps(self, most: int) -> list[SweepRecord]:
        """See AccountStore."""
        with self._lock:
            return sorted(self._sweeps, key=lambda each: each.started_at, reverse=True)[:most]

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
        """See AccountStore."""
        with self._lock:
            known = sorted(self._accounts.values(), key=lambda each: (each.slot, each.account_id))
            spoilt = list(self._odd.values())
        found = [
            summary_of(each)
            for each in known
            if state in (None, each.state)
            and each.username.casefold().startswith(username.casefold())
            and (due_before is None or each.due_at < due_before)
            and not odd
        ]
        start = int(cursor or 0)
        end = start + most
        everything = state is None and not username and due_before is None
        rows = tuple(spoilt) if everything and not start else ()
        return AccountPage(tuple(found[start:end]), str(end) if end < len(found) else "", rows)

    def count_accounts(self, overdue_before: datetime) -> Headcount:
        """See AccountStore."""
        with self._lock:
            known = list(self._accounts.values())
        states = Counter(each.state for each in known)
        overdue = sum(each.due_at < overdue_before for each in known)
        return Headcount({each: states[each] for each in State}, overdue, len(self._odd))

    def _expect(self, account: Account) -> None:
        known = self._accounts.get(account.account_id) or self._odd.get(account.account_id)
        if (known.etag if known else None) != account.etag:
            raise Conflict(account.account_id)

    def _etag(self) -> str:
        return f'W/"{next(self._versions)}"'


class MemorySlotPass:
    """`SlotPass` without lists: a dict is read whole in no time.

    Attributes:
        index: made when there was none.
    """

    def __init__(self, store: MemoryAccountStore, slot: Slot) -> None:
        self.index = slot.index
        self._store = store
        self._slot = slot.name

    def pages(self, now: datetime, *, odd_until: datetime) -> Iterator[list[Account]]:
        """See SlotPass."""
        del odd_until
        if self.index is None or not self.index.is_good(now):
            self.index = Index(0, now)
        yield from self._store.due(self._slot, now)

    def note(self, account: Account) -> None:
        """See SlotPass."""

    def complete(self) -> None:
        """See SlotPass."""

    def next_due(self) -> datetime | None:
        """See SlotPass."""
        return self._store.next_due(self._slot)


def _try(write: Callable[[Account], Account], account: Account) -> Account | StoreError:
    try:
        return write(account)
    except StoreError as error:
        return error
