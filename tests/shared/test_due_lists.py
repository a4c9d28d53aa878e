"""The table Due on a storage that answers as the live service does: lists that are lost, old, odd, or too many."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from hypothesis import given
from hypothesis import strategies as some

from shared.accounts import Account, slot_of
from shared.errors import Conflict, StoreUnavailable
from shared.store import Slot, SlotPass, TableAccountStore
from shared.store.protocol import LONGEST_WAKE
from shared.store.slots import INDEX_LASTS, Index
from shared.store.tables import due, first_edition
from shared.store.tables.rows import row_key, to_entity
from tests.service_storage import ServiceShapedStorage
from tests.shared.store_accounts import NOW, an_account

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
INDEXED = Index(1000, NOW)
"""Of a slot in which few are due."""
DUE_BATCH: dict[str, Any] = {"method": "POST", "path": r"^/\$batch", "body": "/Due"}


def people(count: int) -> list[Account]:
    """People of slot 03, who are due; none of them stored."""
    names = (f"person-{number}" for number in range(100_000))
    chosen = [name for name in names if slot_of(name) == "03"][:count]
    return [an_account(name, sealed_cache=b"x", due_at=NOW) for name in chosen]


def saved(results: list[Any]) -> list[Account]:
    """All were saved."""
    assert [each for each in results if not isinstance(each, Account)] == []
    return results


def go_through(
    store: TableAccountStore, now: datetime = NOW, index: Index | None = INDEXED
) -> tuple[SlotPass, list[Account]]:
    """A pass over slot 03, and whom it found."""
    this_pass = store.begin_pass(Slot("03", now, index=index))
    return this_pass, [each for page in this_pass.pages(now, odd_until=now + HOUR) for each in page]


def sweep(store: TableAccountStore, now: datetime = NOW, index: Index | None = INDEXED) -> list[str]:
    """A whole pass, after which those whom it found are due in an hour. Who they were."""
    this_pass, found = go_through(store, now, index)
    for each in saved(store.save_many([replace(each, due_at=now + HOUR) for each in found])):
        this_pass.note(each)
    this_pass.complete()
    return sorted(each.account_id for each in found)


def lists(tables: TableServiceClient) -> list[dict[str, Any]]:
    """The rows of the table Due, in their order."""
    return [dict(row) for row in tables.get_table_client("Due").list_entities()]


def listed(tables: TableServiceClient) -> list[str]:
    """Everybody in a list, as often as they are."""
    return sorted(key for row in lists(tables) for key in row["Keys"].split("\n"))


def ids(accounts: list[Account]) -> list[str]:
    """Who they are."""
    return sorted(each.account_id for each in accounts)


def test_a_pass_leaves_one_list_for_those_who_are_due_together(
    table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """However they were listed before. The list is named by its time and holds 400."""
    crowd = people(405)
    saved(table_store.save_many(crowd))
    for each in crowd[:20]:
        due.add(table_store._tables, "03", row_key(each.account_id), NOW - MINUTE)
    assert sweep(table_store, index=None) == ids(crowd)
    made = [(len(row["Keys"].split("\n")), row["RowKey"][:14]) for row in lists(tables)]
    assert sorted(made) == [(5, "20260301130000"), (400, "20260301130000")]
    assert listed(tables) == ids(crowd)


def test_lists_that_fit_into_no_transaction_are_written_before_others_are_deleted(
    storage: ServiceShapedStorage, table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """When the storage fails in between, somebody is listed twice and nobody is lost."""
    crowd = saved(table_store.save_many(people(150)))
    for each in crowd:
        due.add(table_store._tables, "03", row_key(each.account_id), NOW)
    storage.add(**DUE_BATCH, status=403, skip=1)
    with pytest.raises(StoreUnavailable):
        sweep(table_store)
    assert set(ids(crowd)) <= set(listed(tables))
    storage.clear()
    assert sweep(table_store, NOW + HOUR) == ids(crowd)
    assert listed(tables) == ids(crowd)


@pytest.mark.parametrize("trouble", [{"status": 500, "code": "InternalError"}, {"status": 0}, {"status": 502}])
def test_lists_whose_answer_was_lost_are_written_once(
    storage: ServiceShapedStorage, table_store: TableAccountStore, tables: TableServiceClient, trouble: dict[str, Any]
) -> None:
    """The repetition finds its own lists, and the old ones gone."""
    crowd = saved(table_store.save_many(people(3)))
    storage.add(method="POST", path="^/Due", **trouble, forward=True, times=1)
    for number, each in enumerate(crowd):
        table_store.wake(replace(each, due_at=NOW + number * timedelta(seconds=1)))
    assert listed(tables) == ids(crowd)
    storage.add(**DUE_BATCH, **trouble, forward=True, times=1)
    assert sweep(table_store, NOW + MINUTE) == ids(crowd)
    assert listed(tables) == ids(crowd)


def test_a_list_that_another_sweep_deleted_stops_nobody(
    storage: ServiceShapedStorage, table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """Ours had lost its claim, or that one had."""
    (ada,) = saved(table_store.save_many(people(1)))
    due.add(table_store._tables, "03", row_key(ada.account_id), NOW)

    def another() -> None:
        for row in lists(tables):
            tables.get_table_client("Due").delete_entity(row)

    storage.add(**DUE_BATCH, before=another, times=1)
    assert sweep(table_store) == ids([ada])
    assert listed(tables) == ids([ada])


def test_a_slot_without_a_mark_is_listed_anew(table_store: TableAccountStore, tables: TableServiceClient) -> None:
    """Nobody is lost whose list is; those who are listed twice have one turn. The mark counts them."""
    crowd = saved(table_store.save_many(people(30)))
    saved(table_store.save_many([replace(each, due_at=NOW + MINUTE) for each in crowd[20:]]))
    for index in (None, replace(INDEXED, made_at=NOW - INDEX_LASTS), replace(INDEXED, made_at=NOW + INDEX_LASTS)):
        this_pass, found = go_through(table_store, index=index)
        assert ids(found) == ids(crowd[:20])
        assert this_pass.index == Index(30, NOW)
        assert this_pass.next_due() == NOW
    assert go_through(table_store, NOW + MINUTE)[1] != []
    for row in lists(tables):
        tables.get_table_client("Due").delete_entity(row)
    assert go_through(table_store, NOW + MINUTE)[1] == []
    assert sweep(table_store, NOW + MINUTE, index=None) == ids(crowd)
    assert sweep(table_store, NOW + HOUR) == []
    assert sweep(table_store, NOW + MINUTE + HOUR) == ids(crowd)


def test_a_wake_that_is_on_its_way_is_waited_for(table_store: TableAccountStore, tables: TableServiceClient) -> None:
    """A pass meets its list, and not yet its row: of a newcomer there is none, and somebody else is due later."""
    newcomer, resident = people(2)
    resident = table_store.save(replace(resident, due_at=NOW + 9 * HOUR))
    for each in (newcomer, resident):
        due.add(table_store._tables, "03", row_key(each.account_id), NOW)
    assert sweep(table_store) == []
    soon = NOW + LONGEST_WAKE
    woken = [table_store.save(newcomer), table_store.save(replace(resident, due_at=NOW))]
    assert sweep(table_store, soon) == ids(woken)
    for each in woken:
        table_store.delete(each.account_id)
    assert sweep(table_store, soon + HOUR) == []
    assert listed(tables) == []


def test_a_wake_that_took_too_long_lists_its_account_again(
    table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """A pass may have come by and found nobody."""
    times = iter([0.0, 0.0, LONGEST_WAKE.total_seconds(), 1000.0, 1001.0])
    slow = TableAccountStore(tables, clock=lambda: next(times))
    slow.wake(people(1)[0])
    assert len(lists(tables)) == 2
    assert sweep(table_store) == ids(people(1))


def test_a_wake_writes_its_list_before_the_row_and_the_hint_last(
    storage: ServiceShapedStorage, table_store: TableAccountStore
) -> None:
    """A crash in between leaves a list too many, or somebody who is due a little later."""
    table_store.slots()
    storage.clear()
    table_store.wake(people(1)[0])
    assert storage.requests == [
        "POST /Due",
        "POST /$batch",
        "GET /Slots(PartitionKey='slots',RowKey='03')",
        "POST /Slots",
    ]


@pytest.mark.parametrize("path", ["^/Due", r"^/\$batch", "^/Slots"])
def test_a_wake_that_fails_loses_nobody(
    storage: ServiceShapedStorage, table_store: TableAccountStore, path: str
) -> None:
    """Whatever it could not write; the caller tries again, or its person does."""
    (ada,) = saved(table_store.save_many(people(1)))
    known = table_store.save(replace(ada, due_at=NOW + 9 * HOUR))
    due.add(table_store._tables, "03", row_key(ada.account_id), NOW + 9 * HOUR)
    storage.add(method="POST", path=path, status=403)
    storage.add(method="PUT", path=path, status=403)
    with pytest.raises(StoreUnavailable):
        table_store.wake(replace(known, due_at=NOW))
    storage.clear()
    row = table_store.get(ada.account_id)
    assert row is not None
    assert sweep(table_store) == (ids([ada]) if row.due_at == NOW else [])
    assert sweep(table_store, NOW + 9 * HOUR) == ids([ada])


def test_an_odd_row_is_looked_at_once_per_interval(
    storage: ServiceShapedStorage, table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """And not at every tick. When a hand has mended it, its person is swept."""
    (ada,) = saved(table_store.save_many(people(1)))
    due.add(table_store._tables, "03", row_key(ada.account_id), NOW)
    row = {"PartitionKey": "03", "RowKey": ada.account_id}
    tables.get_table_client("Accounts").update_entity(row | {"State": "half-asleep"})
    assert sweep(table_store) == []
    storage.clear()
    assert sweep(table_store, NOW + HOUR - MINUTE) == []
    assert "GET /Accounts()" not in storage.requests
    tables.get_table_client("Accounts").update_entity(row | {"State": "active"})
    assert sweep(table_store, NOW + HOUR) == ids([ada])


FIRST = ["a/b", "50%", "x+y", "a_x002F_b", 'a\\b#c?d"e', "~" * 200, "50 % + tax"]


@pytest.mark.parametrize("account_id", FIRST)
def test_a_row_of_the_first_edition_is_listed_and_swept(
    table_store: TableAccountStore, tables: TableServiceClient, account_id: str
) -> None:
    """Its old key is in the lists until it is moved; the next turn goes by the new one."""
    slot = slot_of(account_id)
    row = to_entity(an_account(account_id)) | {"RowKey": first_edition.first_key(account_id)}
    table_store.slots()
    tables.get_table_client("Accounts").create_entity({name: row[name] for name in row if name != "WriteId"})
    for now, index in ((NOW, None), (NOW + HOUR, INDEXED)):
        this_pass = table_store.begin_pass(Slot(slot, now, index=index))
        (known,) = [each for page in this_pass.pages(now, odd_until=now + HOUR) for each in page]
        this_pass.note(table_store.save(replace(known, due_at=now + HOUR)))
        this_pass.complete()
        assert listed(tables) == [row_key(account_id)]


ODD: dict[str, dict[str, Any]] = {
    "no keys": {"RowKey": "20260101000000000000-a"},
    "keys that are a number": {"RowKey": "20260101000000000000-a", "Keys": 7},
    "empty": {"RowKey": "20260101000000000000-a", "Keys": "\n\n"},
    "a name before all times": {"RowKey": "!", "Keys": "nobody"},
    "a name behind all times": {"RowKey": "x", "Keys": "nobody"},
    "no time": {"RowKey": "20269999-a", "Keys": "nobody"},
}


@pytest.mark.parametrize("row", ODD.values(), ids=ODD)
def test_an_odd_list_hides_nobody_and_keeps_no_slot_due(
    table_store: TableAccountStore, tables: TableServiceClient, row: dict[str, Any]
) -> None:
    """Somebody wrote it by hand."""
    (ada,) = saved(table_store.save_many(people(1)))
    due.add(table_store._tables, "03", row_key(ada.account_id), NOW)
    tables.get_table_client("Due").create_entity({"PartitionKey": "03"} | row)
    assert sweep(table_store) == ids([ada])
    sweep(table_store, NOW + MINUTE)
    assert table_store.begin_pass(Slot("03", NOW)).next_due() in (NOW + HOUR, None)
    assert sweep(table_store, NOW + HOUR) == ids([ada])


def test_few_are_read_one_by_one_and_many_by_one_scan(
    storage: ServiceShapedStorage, table_store: TableAccountStore
) -> None:
    """One in twenty of a slot's accounts is many. The mark's number follows a scan that found more."""
    crowd = saved(table_store.save_many(people(12)))
    for rows, reads in ((241, 12), (240, 1), (7, 1)):
        for each in crowd:
            due.add(table_store._tables, "03", row_key(each.account_id), NOW)
        storage.clear()
        this_pass, found = go_through(table_store, index=Index(rows, NOW))
        assert ids(found) == ids(crowd)
        assert storage.requests.count("GET /Accounts()") == reads
        assert this_pass.index == Index(max(rows, 12), NOW)


@pytest.mark.parametrize("rows", [1000, 5], ids=["one by one", "by a scan"])
def test_whoever_is_listed_and_not_noted_keeps_their_own_time(table_store: TableAccountStore, rows: int) -> None:
    """Few are looked up one by one, many by a scan without their token caches."""
    saved(table_store.save_many(people(9)))
    this_pass, found = go_through(table_store, index=None)
    assert len(found) == 9
    this_pass.index = Index(rows, NOW)
    for number, each in enumerate(found[:8], 1):
        table_store.touch(replace(each, due_at=NOW + number * MINUTE))
    table_store.delete(found[8].account_id)
    this_pass.complete()
    times = []
    while (time := this_pass.next_due()) and time < NOW + HOUR:
        times.append(time)
        sweep(table_store, time)
    assert times == [NOW + number * MINUTE for number in range(1, 9)]


def test_a_save_beside_the_pass_keeps_an_earlier_time(table_store: TableAccountStore) -> None:
    """A wake comes after the lists were read: its list is not among those that are deleted."""
    (ada,) = saved(table_store.save_many(people(1)))
    this_pass, _ = go_through(table_store, index=None)
    this_pass.note(table_store.save(replace(ada, due_at=NOW + HOUR)))
    known = table_store.get(ada.account_id)
    assert known is not None
    table_store.wake(replace(known, due_at=NOW + MINUTE))
    this_pass.complete()
    assert this_pass.next_due() == NOW + MINUTE
    with pytest.raises(Conflict):
        table_store.wake(replace(known, due_at=NOW))
    assert sweep(table_store, NOW + MINUTE) == ids([ada])


@given(
    some.dictionaries(some.text("a/é\U0001f600", min_size=1, max_size=300), some.datetimes(timezones=some.just(UTC)))
)
def test_every_account_is_in_a_list_no_later_than_it_is_due(times: dict[str, datetime]) -> None:
    """Whatever their keys and times are; each list fits into a property, and is less than a minute too early."""
    found: dict[str, str] = {}
    for entity in lists_of(times):
        assert len(entity["Keys"]) <= 32 * 1024
        found |= dict.fromkeys(entity["Keys"].split("\n"), entity["RowKey"])
    assert found.keys() == times.keys()
    for key, name in found.items():
        time = due._time(name)
        assert time is not None
        assert timedelta(0) <= times[key] - time < MINUTE


def lists_of(times: dict[str, datetime]) -> Iterator[dict[str, Any]]:
    """The rows that are written for these accounts."""
    return due._lists("03", times)
