"""Lists and counts of accounts: scans of the table Accounts that never read a token cache.

Table Storage has no index but its keys and counts nothing: a filter on another property reads every row and may answer
empty pages with a continuation ("Query timeout and pagination").
"""

import base64
import binascii
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from azure.data.tables import TableClient

from shared.accounts import Account, State
from shared.store.protocol import AccountPage, AccountSummary, Headcount, OddRow, summary_of
from shared.store.tables import reading, wire
from shared.store.tables.rows import PROPERTIES
from shared.store.tables.service import equals, quoted, time_literal

_MOST_REQUESTS = 20  # to the service, for one page of a list; a rare find may need more pages
_MOST_ROWS_PER_REQUEST = 1000
_BEHIND_EVERY_NAME = "\uf8ff"
_SELECT = ",".join(PROPERTIES)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which accounts a list shows; see AccountStore.list_accounts."""

    state: State | None
    username: str
    due_before: datetime | None
    odd: bool

    def filter(self) -> str:
        """An OData filter; "" when it is everybody. Nothing in it says odd: no filter could."""
        conditions: list[str] = []
        if self.state:
            conditions.append(equals("State", self.state.value))
        if self.username:
            first = self.username.casefold()
            conditions.append(f"UsernameFolded ge {quoted(first)}")
            conditions.append(f"UsernameFolded lt {quoted(first + _BEHIND_EVERY_NAME)}")
        if self.due_before:
            conditions.append(f"DueAt lt {time_literal(self.due_before)}")
        return " and ".join(conditions)


def list_page(table: TableClient, choice: Choice, *, cursor: str, most: int) -> AccountPage:
    """See AccountStore.list_accounts. Raises the SDK's errors, and ValueError."""
    place = _place(cursor)
    top = _MOST_ROWS_PER_REQUEST if choice.odd else most
    accounts: list[AccountSummary] = []
    odd: list[OddRow] = []
    for _ in range(_MOST_REQUESTS):
        rows, place = wire.read_page(table, choice.filter(), top=top, select=_SELECT, place=place)
        for found in map(reading.read, rows):
            if isinstance(found, OddRow):
                odd.append(found)
            elif not choice.odd:
                accounts.append(summary_of(found))
        if len(accounts) + len(odd) >= most or place is None:
            break
    return AccountPage(tuple(accounts), _cursor(place), tuple(odd))


def count(table: TableClient, overdue_before: datetime) -> Headcount:
    """See AccountStore.count_accounts. Raises the SDK's errors."""
    states: Counter[State] = Counter()
    overdue = odd = 0
    for page in wire.pages(table, "", _standing, top=_MOST_ROWS_PER_REQUEST, select=_SELECT):
        for found in page:
            if found is None:
                odd += 1
                continue
            state, due_at = found
            states[state] += 1
            overdue += due_at < overdue_before
    return Headcount({each: states[each] for each in State}, overdue, odd)


def _standing(row: wire.Row) -> tuple[State, datetime] | None:
    """What a count looks at. None for an odd row."""
    found = reading.read(row)
    return (found.state, found.due_at) if isinstance(found, Account) else None


def _cursor(place: wire.Place | None) -> str:
    """The service's continuation as one word for an address."""
    if not place:
        return ""
    text = json.dumps([place.get("NextPartitionKey"), place.get("NextRowKey")])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str) -> wire.Place | None:
    if not cursor:
        return None
    try:
        partition, row = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(partition, str) or not isinstance(row, str | None):
            raise TypeError("not texts")
        (partition + (row or "")).encode()
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise ValueError("not a cursor of this list") from error
    return {"NextPartitionKey": partition} | ({"NextRowKey": row} if row is not None else {})
