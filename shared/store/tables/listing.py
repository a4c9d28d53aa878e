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
from typing import Any

from azure.data.tables import TableClient

from shared.accounts import State
from shared.store.protocol import AccountPage, AccountSummary, Headcount
from shared.store.tables.rows import SUMMARY_PROPERTIES, sense_of, standing, summary
from shared.store.tables.service import ACCOUNTS

_MOST_REQUESTS = 20  # to the service, for one page of a list; a rare find may need more pages
_COUNTING_PAGE = 1000
_BEHIND_EVERY_NAME = "\uf8ff"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which accounts a list shows; see AccountStore.list_accounts."""

    state: State | None
    username: str
    due_before: datetime | None

    def filter(self) -> tuple[str, dict[str, Any]]:
        """An OData filter and its parameters; "" when it is everybody."""
        conditions: list[str] = []
        parameters: dict[str, Any] = {}
        if self.state:
            conditions.append("State eq @state")
            parameters["state"] = self.state.value
        if self.username:
            first = self.username.casefold()
            conditions.append("UsernameFolded ge @first and UsernameFolded lt @last")
            parameters |= {"first": first, "last": first + _BEHIND_EVERY_NAME}
        if self.due_before:
            conditions.append("DueAt lt @time")
            parameters["time"] = self.due_before
        return " and ".join(conditions), parameters


def list_page(table: TableClient, choice: Choice, *, cursor: str, most: int) -> AccountPage:
    """See AccountStore.list_accounts. Raises the SDK's errors, and ValueError."""
    conditions, parameters = choice.filter()
    query: dict[str, Any] = {"select": list(SUMMARY_PROPERTIES), "results_per_page": most}
    rows: Any = (
        table.query_entities(conditions, parameters=parameters, **query) if conditions else table.list_entities(**query)
    )
    pages = rows.by_page(continuation_token=_token(cursor))
    found: list[AccountSummary] = []
    for _ in range(_MOST_REQUESTS):
        found += [each for row in next(pages, []) if (each := sense_of(row, summary, ACCOUNTS))]
        if len(found) >= most or not pages.continuation_token:
            break
    return AccountPage(tuple(found), _cursor(pages.continuation_token))


def count(table: TableClient, overdue_before: datetime) -> Headcount:
    """See AccountStore.count_accounts. Rows that make no sense are not counted. Raises the SDK's errors."""
    states: Counter[State] = Counter()
    overdue = 0
    for row in table.list_entities(select=["State", "DueAt"], results_per_page=_COUNTING_PAGE):
        found = sense_of(row, standing, ACCOUNTS)
        if found:
            state, due_at = found
            states[state] += 1
            overdue += due_at < overdue_before
    return Headcount({each: states[each] for each in State}, overdue)


def _cursor(token: dict[str, str | None] | None) -> str:
    """The service's continuation as one word for an address."""
    if not token:
        return ""
    text = json.dumps([token["PartitionKey"], token["RowKey"]])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _token(cursor: str) -> dict[str, str | None] | None:
    if not cursor:
        return None
    try:
        partition, row = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise ValueError("not a cursor of this list") from error
    if not isinstance(partition, str) or not isinstance(row, str | None):
        raise ValueError("not a cursor of this list")
    return {"PartitionKey": partition, "RowKey": row}
