"""What every account store promises of its lists and counts: the same tests in memory and on real Azurite."""

import base64
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from localdev.azurite import Azurite
from shared.accounts import Account, Failure, State
from shared.store import AccountStore, AccountSummary, TableAccountStore

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def person(number: int, **changes: object) -> Account:
    """Somebody, by number."""
    facts: dict[str, object] = {
        "account_id": f"oid-{number:04}.tid",
        "username": f"Person{number:04}@Contoso.example",
        "tenant_id": "tid",
        "due_at": NOW + timedelta(minutes=number),
        "last_activity": NOW,
        "sealed_cache": os.urandom(100),
    }
    return Account(**facts | changes)  # type: ignore[arg-type]


def everybody(store: AccountStore, **choice: object) -> list[AccountSummary]:
    """The whole list, page by page."""
    found: list[AccountSummary] = []
    cursor = ""
    while True:
        page = store.list_accounts(cursor=cursor, most=7, **choice)  # type: ignore[arg-type]
        found += page.accounts
        cursor = page.cursor
        if not cursor:
            return found


def test_an_empty_store_lists_and_counts_nobody(store: AccountStore) -> None:
    """Before the tables exist, too."""
    assert store.list_accounts().accounts == ()
    assert store.list_accounts().cursor == ""
    assert store.count_accounts(NOW).states == {State.ACTIVE: 0, State.NEEDS_SIGN_IN: 0, State.UNREADABLE: 0}


def test_everybody_is_listed_once_page_by_page(store: AccountStore) -> None:
    """Over all slots, whatever the pages' size."""
    saved = [store.save(person(number)) for number in range(40)]
    listed = everybody(store)
    assert sorted(each.account_id for each in listed) == [each.account_id for each in saved]
    assert len(store.list_accounts(most=7).accounts) < 40


def test_a_summary_says_what_the_account_says(store: AccountStore) -> None:
    """With the failure, and without what is large or secret."""
    failure = Failure("50173", NOW, NOW, suberror="bad_token", correlation_id="c-1", count=3, notified_at=NOW)
    account = person(1, state=State.NEEDS_SIGN_IN, failure=failure, last_swept_at=NOW)
    store.save(account)
    (listed,) = store.list_accounts().accounts
    assert listed == AccountSummary(
        account_id=account.account_id,
        username=account.username,
        tenant_id="tid",
        source=account.source,
        state=State.NEEDS_SIGN_IN,
        due_at=account.due_at,
        last_activity=NOW,
        last_swept_at=NOW,
        failure=failure,
    )


def test_a_list_can_be_of_one_state(store: AccountStore) -> None:
    """Those set aside are found among the others."""
    for number in range(20):
        store.save(person(number, state=State.NEEDS_SIGN_IN if number % 5 == 0 else State.ACTIVE))
    listed = everybody(store, state=State.NEEDS_SIGN_IN)
    assert sorted(each.username[6:10] for each in listed) == ["0000", "0005", "0010", "0015"]


def test_a_list_can_be_of_those_who_are_overdue(store: AccountStore) -> None:
    """Who was due before the time asked about, and nobody else."""
    for number in range(10):
        store.save(person(number))
    listed = everybody(store, due_before=NOW + timedelta(minutes=2))
    assert sorted(each.username[6:10] for each in listed) == ["0000", "0001"]


@pytest.mark.parametrize("prefix", ["person000", "PERSON000", "Person000"])
def test_people_are_found_by_the_beginning_of_their_username(store: AccountStore, prefix: str) -> None:
    """In any case, and together with a state."""
    for number in range(20):
        store.save(person(number, state=State.UNREADABLE if number < 3 else State.ACTIVE))
    assert len(everybody(store, username=prefix)) == 10
    assert len(everybody(store, username=prefix, state=State.UNREADABLE)) == 3
    assert everybody(store, username="erson") == []


@pytest.mark.parametrize("username", ["o'hara@contoso.example", "ünïcødé@contoso.example", "日本@contoso.example"])
def test_odd_usernames_are_found_too(store: AccountStore, username: str) -> None:
    """Quotes and letters of the world break no filter."""
    store.save(person(1, username=username))
    store.save(person(2))
    assert [each.username for each in everybody(store, username=username[:2])] == [username]


def test_everybody_is_counted_by_state_and_by_who_is_overdue(store: AccountStore) -> None:
    """Whatever their state, who was due before the time asked about is overdue."""
    for number in range(12):
        store.save(person(number, state=State.NEEDS_SIGN_IN if number < 4 else State.ACTIVE))
    counted = store.count_accounts(NOW + timedelta(minutes=3))
    assert counted.states == {State.ACTIVE: 8, State.NEEDS_SIGN_IN: 4, State.UNREADABLE: 0}
    assert counted.overdue == 3


NO_CURSORS = [
    "!",
    "e30",
    "bm90IGpzb24",
    *(base64.urlsafe_b64encode(each).decode() for each in (b"[1, 2]", b"[" * 2700)),
]


@pytest.mark.parametrize("cursor", NO_CURSORS)
def test_a_cursor_that_no_page_gave_is_refused(store: AccountStore, cursor: str) -> None:
    """It never reaches the storage."""
    store.save(person(1))
    with pytest.raises(ValueError, match=r"cursor|invalid literal"):
        store.list_accounts(cursor=cursor)


def test_lists_and_counts_read_no_token_cache(azurite: Azurite, tables: TableServiceClient) -> None:
    """A list of people with large caches is small."""
    sizes: list[int] = []

    def weigh(answer: Any) -> None:
        sizes.append(len(answer.http_response.body()))

    with TableServiceClient.from_connection_string(azurite.connection_string, raw_response_hook=weigh) as service:
        store = TableAccountStore(service)
        store.save(person(1, sealed_cache=os.urandom(800_000)))
        sizes.clear()
        store.list_accounts()
        store.count_accounts(NOW)
    assert len(sizes) == 2
    assert max(sizes) < 2000
