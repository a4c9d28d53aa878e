"""The store on Table Storage: its own limits, and what it makes of answers that were lost, odd or incomplete.

All on a storage that answers as the live service does; see tests/service_storage.py.
"""

import ast
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from shared import store
from shared.accounts import EPOCH, Account, Failure, State, all_slots, slot_of
from shared.errors import Conflict, RowRefused, RowTooLarge, RowUnreadable, StoreUnavailable
from shared.monitoring.heartbeat import heartbeat
from shared.store import Slot, SweepRecord, TableAccountStore
from shared.store.slots import Index
from shared.store.tables import first_edition
from shared.store.tables.rows import (
    MOST_CACHE_BYTES,
    PROPERTIES,
    OddValue,
    from_entity,
    row_key,
    sweep_entity,
    sweep_record,
    to_entity,
)
from shared.sweep_queue import due_slots
from tests.service_storage import ServiceShapedStorage
from tests.shared.store_accounts import NOW, an_account

BATCH: dict[str, Any] = {"method": "POST", "path": r"^/\$batch"}
CLAIM: dict[str, Any] = {"method": "PUT", "path": r"^/Slots\("}
LATER = NOW + timedelta(hours=1)
MEBIBYTE = 1024 * 1024


def people(count: int, size: int = 100) -> list[Account]:
    """People of one slot, none of them stored, each with a token cache of so many bytes."""
    names = (f"person-{number}" for number in range(100_000))
    chosen = [name for name in names if slot_of(name) == "03"][:count]
    return [an_account(name, sealed_cache=os.urandom(size)) for name in chosen]


def saved(results: list[Any]) -> list[Account]:
    """All were saved."""
    assert [each for each in results if not isinstance(each, Account)] == []
    return results


def part(status: str, code: str, message: str) -> bytes:
    """A transaction's answer with one part that says no."""
    error = f'{{"odata.error":{{"code":"{code}","message":{{"lang":"en-US","value":"{message}"}}}}}}'
    return (
        f"--b\r\n\r\n--c\r\n\r\nHTTP/1.1 {status}\r\nCache-Control: no-cache\r\n\r\n{error}\r\n--c--\r\n--b--".encode()
    )


FOLDER = Path(store.__file__).parent


@pytest.mark.parametrize("file", [*FOLDER.glob("*.py")], ids=lambda file: file.name)
def test_only_its_own_folder_knows_table_storage(file: Path) -> None:
    """Another store could follow: beside it nothing imports the SDK, and only the package's door imports the folder."""
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    imported = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert not [name for name in imported if name.startswith("azure")]
    assert file.name == "__init__.py" or not [name for name in imported if name.startswith("shared.store.tables")]


# Answers that were lost


@pytest.mark.parametrize(
    ("trouble", "requests"),
    [({"status": 500, "code": "InternalError"}, 3), ({"status": 0}, 2), ({"status": 202, "content": b""}, 2)],
    ids=["500", "no answer", "an answer without parts"],
)
def test_a_batch_that_was_committed_is_known_by_one_read(
    storage: ServiceShapedStorage, table_store: TableAccountStore, trouble: dict[str, Any], requests: int
) -> None:
    """The rows are sent once, and once more by the SDK after a 500; one small read settles all hundred."""
    crowd = people(100, 17_000)
    first = saved(table_store.save_many(crowd))
    storage.clear()
    saved(table_store.save_many([replace(each, username="a") for each in first]))
    once = storage.bytes
    first = [known for each in crowd if (known := table_store.get(each.account_id))]
    storage.clear()
    storage.add(**BATCH, **trouble, forward=True, times=1)
    second = saved(table_store.save_many([replace(each, username="b") for each in first]))
    assert len(storage.requests) == requests
    assert storage.bytes < (requests - 1) * once + 50_000
    storage.clear()
    assert {each.username for page in table_store.due("03", NOW) for each in page} == {"b"}
    saved(table_store.save_many(second))
    assert storage.requests.count("POST /$batch") == 1, "the ETags are those of the rows"


def test_a_first_save_that_was_committed_is_known_too(
    storage: ServiceShapedStorage, table_store: TableAccountStore
) -> None:
    """The repetition is told that the row is there already (409)."""
    storage.add(**BATCH, status=500, code="InternalError", forward=True, times=1)
    known = table_store.save(an_account())
    assert table_store.get("oid.tid") == known
    storage.add(**BATCH, forward=True, times=1)
    touched = table_store.touch(replace(known, last_activity=NOW))
    assert table_store.save(touched).etag != touched.etag


def test_a_batch_that_was_not_committed_is_written_after_a_lost_answer(
    storage: ServiceShapedStorage, table_store: TableAccountStore
) -> None:
    """Nothing is taken for ours that isn't."""
    first = saved(table_store.save_many(people(3)))
    storage.clear()
    storage.add(**BATCH, times=1)
    saved(table_store.save_many([replace(each, username="new") for each in first]))
    assert storage.requests == ["POST /$batch", "GET /Accounts()", "POST /$batch"]
    assert {each.username for page in table_store.due("03", NOW) for each in page} == {"new"}


def test_a_write_is_known_again_after_an_outage(storage: ServiceShapedStorage, table_store: TableAccountStore) -> None:
    """The storage fails for good after it had committed; the same save, later, finds its own rows."""
    first = saved(table_store.save_many(people(3)))
    wanted = [replace(each, username="new") for each in first]
    storage.add(**BATCH, forward=True, times=1)
    storage.add(method="GET", status=503)
    assert all(isinstance(each, StoreUnavailable) for each in table_store.save_many(wanted))
    storage.clear()
    again = saved(table_store.save_many(wanted))
    assert [table_store.get(each.account_id) for each in again] == again


def test_somebody_elses_write_is_never_taken_for_ours(
    storage: ServiceShapedStorage, table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """Our answer was lost, and somebody wrote since: theirs stands."""
    (first,) = saved(table_store.save_many(people(1)))
    direct = TableAccountStore(tables)

    def write() -> None:
        known = direct.get(first.account_id)
        assert known
        direct.save(replace(known, username="theirs"))

    storage.add(**BATCH, forward=True, times=1)
    storage.add(method="GET", before=write, times=1)
    assert isinstance(table_store.save_many([replace(first, username="ours")])[0], Conflict)
    known = table_store.get(first.account_id)
    assert known
    assert known.username == "theirs"


def test_many_conflicts_take_three_requests(storage: ServiceShapedStorage, table_store: TableAccountStore) -> None:
    """The refused transaction, a read of all rows, and one with those that are still as they were."""
    crowd = saved(table_store.save_many(people(100, 10_000)))
    changed = crowd[0:80:2]
    saved(table_store.touch_many([replace(each, lease=None) for each in changed]))
    assert table_store.delete(crowd[81].account_id)
    storage.clear()
    results = table_store.save_many([replace(each, username="new") for each in crowd])
    assert storage.requests == ["POST /$batch", "GET /Accounts()", "POST /$batch"]
    refused = [index for index, each in enumerate(results) if isinstance(each, Conflict)]
    assert refused == [*range(0, 80, 2), 81]
    assert sum(isinstance(each, Account) for each in results) == 59


def test_rows_that_keep_changing_are_given_up(storage: ServiceShapedStorage, table_store: TableAccountStore) -> None:
    """Whatever the service says, it is not asked for ever."""
    first = saved(table_store.save_many(people(2)))
    storage.clear()
    storage.add(**BATCH, status=202, content=part("412 Precondition Failed", "UpdateConditionNotSatisfied", "no"))
    results = table_store.save_many(first)
    assert [isinstance(each, StoreUnavailable) for each in results] == [True, True]
    assert len(storage.requests) < 10


@pytest.mark.parametrize(
    "content",
    [
        part("409 Conflict", "EntityAlreadyExists", "250:The specified entity already exists."),
        part("412 Precondition Failed", "UpdateConditionNotSatisfied", "250:The update condition …"),
        part("400 Bad Request", "InvalidInput", "250:One of the request inputs is not valid."),
        b"--b\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--b--" * 3,
    ],
    ids=["409", "412", "400", "no ETags"],
)
def test_an_answer_that_names_a_row_beyond_the_batch_or_none_costs_nobody_their_write(
    storage: ServiceShapedStorage, table_store: TableAccountStore, content: bytes
) -> None:
    """It is looked at what is there; then the rows are written."""
    first = saved(table_store.save_many(people(3)))
    storage.add(**BATCH, status=202, content=content, times=1)
    second = saved(table_store.save_many([replace(each, username="new") for each in first]))
    assert [table_store.get(each.account_id) for each in second] == second


@pytest.mark.parametrize(("status", "times"), [(408, 1), (502, 1), (500, 4), (503, 4), (504, 4)])
def test_a_batch_that_was_committed_is_known_whatever_a_gateway_answers(
    storage: ServiceShapedStorage, table_store: TableAccountStore, status: int, times: int
) -> None:
    """Also after the SDK's last repetition."""
    first = saved(table_store.save_many(people(3)))
    storage.add(**BATCH, status=status, code="x", forward=True, times=times)
    second = saved(table_store.save_many([replace(each, username="new") for each in first]))
    assert [table_store.get(each.account_id) for each in second] == second


def test_a_batch_that_a_gateway_refused_is_written(
    storage: ServiceShapedStorage, table_store: TableAccountStore
) -> None:
    """The SDK doesn't repeat a POST after a 502."""
    first = saved(table_store.save_many(people(3)))
    storage.add(**BATCH, status=502, code="x", times=1)
    saved(table_store.save_many([replace(each, username="new") for each in first]))


def test_a_busy_storage_is_not_asked_for_ever(storage: ServiceShapedStorage, table_store: TableAccountStore) -> None:
    """The SDK repeated the batch; after one read it is given up."""
    first = saved(table_store.save_many(people(3)))
    storage.clear()
    storage.add(**BATCH, status=503)
    assert all(isinstance(each, StoreUnavailable) for each in table_store.save_many(first))
    assert storage.requests == ["POST /$batch"] * 4 + ["GET /Accounts()"]


def test_two_rows_far_apart_are_settled_by_two_short_reads(
    storage: ServiceShapedStorage, table_store: TableAccountStore
) -> None:
    """What lies between is not read."""
    crowd = saved(table_store.save_many(people(300)))
    ends = sorted(crowd, key=lambda each: each.account_id)[:: len(crowd) - 1]
    storage.clear()
    storage.add(**BATCH, forward=True, times=1)
    saved(table_store.save_many([replace(each, username="new") for each in ends]))
    assert storage.requests == ["POST /$batch", "GET /Accounts()", "GET /Accounts()"]
    assert storage.bytes < 20_000


def test_another_property_makes_another_write() -> None:
    """The same values under other names have another WriteId."""
    account = Account(account_id="oid.tid")
    swept, expiring = replace(account, last_swept_at=NOW), replace(account, token_expires_at=NOW)
    assert to_entity(swept)["WriteId"] != to_entity(expiring)["WriteId"]


# Rows that the service refuses


@pytest.mark.parametrize("odd", [0, 7, 99])
def test_one_row_that_the_service_refuses_costs_nobody_elses_write(
    storage: ServiceShapedStorage, table_store: TableAccountStore, odd: int
) -> None:
    """The live service names no row when it is the first: halves are tried."""
    crowd = people(100)
    crowd[odd] = replace(crowd[odd], username="evil")
    storage.add(**BATCH, body="evil", status=400, code="InvalidInput")
    results = table_store.save_many(crowd)
    assert [index for index, each in enumerate(results) if not isinstance(each, Account)] == [odd]
    assert isinstance(results[odd], RowRefused)
    assert "400 InvalidInput" in str(results[odd])
    assert len(storage.requests) <= 20


def test_a_property_that_the_service_finds_too_large_is_refused_alone(table_store: TableAccountStore) -> None:
    """A string has at most 32 Ki characters there."""
    crowd = people(5)
    crowd[3] = replace(crowd[3], username="x" * 40_000)
    results = table_store.save_many(crowd)
    assert [isinstance(each, Account) for each in results] == [True, True, True, False, True]
    assert isinstance(results[3], RowTooLarge)


@pytest.mark.parametrize("size", [MOST_CACHE_BYTES, MOST_CACHE_BYTES + 1])
def test_a_cache_of_the_limit_is_stored_and_a_larger_one_is_refused(table_store: TableAccountStore, size: int) -> None:
    """A clear error before anything is written."""
    account = an_account(sealed_cache=os.urandom(size))
    if size == MOST_CACHE_BYTES:
        assert table_store.save(account) == table_store.get("oid.tid")
    else:
        with pytest.raises(RowTooLarge):
            table_store.save(account)
        assert table_store.get("oid.tid") is None


@pytest.mark.parametrize("text", ['"' * 15_000, "\\" * 15_000, "é" * 5_000])
def test_no_transaction_is_larger_than_the_service_takes(
    storage: ServiceShapedStorage, table_store: TableAccountStore, text: str
) -> None:
    """Text that JSON escapes twice is measured as it is sent."""
    crowd = [replace(each, task_state={"t": text}) for each in people(100, 3000)]
    saved(table_store.save_many(crowd))
    assert MEBIBYTE < storage.largest < 4 * MEBIBYTE


def test_large_rows_are_split_over_transactions(storage: ServiceShapedStorage, table_store: TableAccountStore) -> None:
    """Ten rows of 800 KB don't fit into one."""
    saved(table_store.save_many(people(10, 800_000)))
    assert storage.largest < 4 * MEBIBYTE


@pytest.mark.parametrize("retry_after", ["0", ""])
def test_a_busy_server_is_asked_again(
    storage: ServiceShapedStorage, table_store: TableAccountStore, retry_after: str
) -> None:
    """503 ServerBusy, with and without Retry-After."""
    trouble = storage.add(**BATCH, status=503, code="ServerBusy", retry_after=retry_after, times=2)
    saved(table_store.save_many(people(3)))
    assert trouble.happened == 2


# Deleting


def test_deleting_takes_one_request(storage: ServiceShapedStorage, table_store: TableAccountStore) -> None:
    """And reads no token cache for it."""
    first = table_store.save(an_account())
    storage.clear()
    assert table_store.delete("oid.tid", etag=first.etag)
    assert storage.requests == ["POST /$batch"]


@pytest.mark.parametrize("etag", ["known", None])
def test_a_deletion_whose_answer_was_lost_is_done(
    storage: ServiceShapedStorage, table_store: TableAccountStore, etag: str | None
) -> None:
    """It is asked for once more, and then the row is gone."""
    first = table_store.save(an_account())
    storage.add(**BATCH, forward=True, times=1)
    assert table_store.delete("oid.tid", etag=first.etag if etag else None)
    assert table_store.get("oid.tid") is None


@pytest.mark.parametrize("etag", ["known", None])
@pytest.mark.parametrize("status", [500, 502])
def test_a_deletion_that_was_committed_says_so(
    storage: ServiceShapedStorage, table_store: TableAccountStore, status: int, etag: str | None
) -> None:
    """The repetition finds nothing, and the row was there."""
    first = table_store.save(an_account())
    storage.add(**BATCH, status=status, code="x", forward=True, times=1)
    assert table_store.delete("oid.tid", etag=first.etag if etag else None)
    assert table_store.get("oid.tid") is None


def test_deleting_nobody_on_a_busy_storage_says_so(
    storage: ServiceShapedStorage, table_store: TableAccountStore
) -> None:
    """A request that was refused for load has deleted nothing."""
    table_store.slots()
    storage.add(**BATCH, status=503, times=1)
    assert not table_store.delete("oid.tid")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("412 Precondition Failed", "UpdateConditionNotSatisfied", Conflict),
        ("403 Forbidden", "AuthorizationFailure", StoreUnavailable),
        ("400 Bad Request", "PropertyValueTooLarge", RowTooLarge),
        ("409 Conflict", "TableBeingDeleted", StoreUnavailable),
    ],
)
def test_errors_of_any_transaction_are_ours(
    storage: ServiceShapedStorage, table_store: TableAccountStore, status: str, code: str, error: type[Exception]
) -> None:
    """No error of the SDK leaves the store."""
    known = table_store.save(an_account())
    storage.add(**BATCH, status=202, content=part(status, code, "no"))
    with pytest.raises(error):
        table_store.delete("oid.tid", etag=known.etag)


# Slots and sweeps


@pytest.mark.parametrize("trouble", [{"status": 500, "code": "InternalError"}, {"status": 0}])
def test_a_claim_whose_answer_was_lost_is_ours(
    storage: ServiceShapedStorage, table_store: TableAccountStore, trouble: dict[str, Any]
) -> None:
    """Nobody would sweep that slot until the claim ran out."""
    storage.add(method="POST", path="^/Slots", **trouble, forward=True, times=1)
    claimed = table_store.write_slot(table_store.slots()[3].claim("one", NOW))
    assert claimed is not None
    storage.add(**CLAIM, **trouble, forward=True, times=1)
    again = table_store.write_slot(claimed.renew("one", NOW + timedelta(minutes=1)))
    assert again is not None
    assert table_store.slots()[3] == again
    assert table_store.write_slot(claimed) is None


@pytest.mark.parametrize("trouble", [{"status": 412, "code": "UpdateConditionNotSatisfied"}, {"status": 404}])
def test_lowering_a_hint_ends_whatever_the_service_answers(
    storage: ServiceShapedStorage, table_store: TableAccountStore, trouble: dict[str, Any]
) -> None:
    """An error, and not a loop."""
    table_store.lower_hint("03", NOW)
    storage.add(**CLAIM, **trouble)
    with pytest.raises(StoreUnavailable):
        table_store.lower_hint("03", NOW)


def test_a_slot_without_a_time_is_due(table_store: TableAccountStore, tables: TableServiceClient) -> None:
    """One odd row stops no tick."""
    table_store.lower_hint("03", NOW)
    tables.get_table_client("Slots").upsert_entity({"PartitionKey": "slots", "RowKey": "03"}, mode=UpdateMode.REPLACE)
    slot = table_store.slots()[3]
    assert slot.next_due_at < NOW
    assert table_store.write_slot(slot.claim("one", NOW)) is not None


@pytest.mark.parametrize(
    "value",
    ["soon", 7, True, b"x", datetime(9999, 12, 31, tzinfo=UTC), datetime(8000, 1, 1, tzinfo=UTC)],
    ids=["text", "number", "truth", "bytes", "last day", "far"],
)
@pytest.mark.parametrize(
    "name", ["NextDueAt", "ClaimedUntil", "ClaimOwner", "FirstClaimedAt", "Indexed", "IndexedAt", "all"]
)
def test_a_slot_with_odd_properties_is_due(
    table_store: TableAccountStore, tables: TableServiceClient, name: str, value: Any
) -> None:
    """One odd value in its row, or only such: the slot is swept, and as due as it was to the heartbeat."""
    good = {"NextDueAt": NOW, "ClaimOwner": "one", "ClaimedUntil": NOW, "FirstClaimedAt": NOW - timedelta(minutes=2)}
    table_store.lower_hint("03", NOW)
    odd = dict.fromkeys(good, value) if name == "all" else {name: value}
    row = {"PartitionKey": "slots", "RowKey": "03"} | good | odd
    tables.get_table_client("Slots").upsert_entity(row, mode=UpdateMode.REPLACE)
    assert [slot.name for slot in due_slots(table_store, NOW)] == list(all_slots())
    assert heartbeat(table_store.slots(), [], NOW, timedelta(minutes=5)).state == "beating"
    table_store.lower_hint("03", NOW)
    slot = table_store.slots()[3]
    claimed = table_store.write_slot(slot.claim("two", NOW))
    assert claimed is not None
    assert claimed.is_claimed(NOW)
    assert table_store.write_slot(claimed.release(NOW + timedelta(hours=1), finished=True)) is not None
    assert [each.name for each in due_slots(table_store, NOW)] == [each for each in all_slots() if each != "03"]


def test_a_row_of_the_first_edition_is_understood(table_store: TableAccountStore, tables: TableServiceClient) -> None:
    """It holds the slot by `NextDueAt`, and notes when the first of its claims runs out. Lowered by either edition, it
    still excludes us until then."""
    until = NOW + timedelta(minutes=10)
    row = {"PartitionKey": "slots", "RowKey": "03", "NextDueAt": until, "ClaimedUntil": until}
    table_store.lower_hint("03", NOW)
    tables.get_table_client("Slots").upsert_entity(row, mode=UpdateMode.REPLACE)
    slot = table_store.slots()[3]
    assert (slot.claim_owner, slot.overdue_from) == ("", until)
    table_store.lower_hint("03", NOW)
    assert "03" not in [each.name for each in due_slots(table_store, NOW + timedelta(minutes=9))]
    assert "03" in [each.name for each in due_slots(table_store, until)]


@pytest.mark.parametrize("trouble", [{"status": 500, "code": "InternalError"}, {"status": 0}, {"status": 502}])
def test_a_record_of_a_sweep_whose_answer_was_lost_is_kept_once(
    storage: ServiceShapedStorage, table_store: TableAccountStore, trouble: dict[str, Any]
) -> None:
    """Its key is random, so a row that is there is this one."""
    table_store.slots()
    storage.add(method="POST", path="^/Sweeps", **trouble, forward=True, times=1)
    table_store.record_sweep(SweepRecord(started_at=NOW, seconds=1, slots=1))
    assert [each.started_at for each in table_store.recent_sweeps(2)] == [NOW]


# Null and absent


def test_null_is_absent() -> None:
    """Whatever a row lacks may come as null, with and without $select."""
    bare = to_entity(Account(account_id="oid.tid"))
    full = to_entity(an_account())
    nulls = dict.fromkeys(full)
    assert from_entity(nulls | bare, "e") == from_entity(bare, "e")
    optional = [name for name in bare if name not in ("AccountId", "DueAt", "LastActivity")]
    for name in optional:
        absent = {key: value for key, value in bare.items() if key != name}
        assert from_entity(bare | {name: None}, "e") == from_entity(absent, "e")
    record = sweep_entity(SweepRecord(started_at=NOW, seconds=1.0, slots=2, counts={"fresh": 1}), "x")
    assert sweep_record(record | {"throttled": None, "Stopped": None}) == sweep_record(record)


def test_all_but_the_token_cache_is_selected() -> None:
    """Lists, counts and the slot's next time select the properties that reading a row looks at, and no others."""
    account = an_account()
    row = to_entity(account)
    selected = {name: row[name] for name in PROPERTIES}
    assert from_entity(selected, "e") == replace(account, sealed_cache=b"")
    read: set[str] = set()

    class Watched(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            read.add(name)
            return super().get(name, default)

    from_entity(Watched(row), "e")
    assert {name for name in read if not name.startswith("Cache")} | {"CacheVersion", "CacheCount"} == {*PROPERTIES} - {
        "PartitionKey",
        "RowKey",
    }


def odd_rows(store: TableAccountStore, **choice: Any) -> list[tuple[str, str, str]]:
    """Place and reason of each odd row of the list."""
    return [(each.slot, each.key, each.reason) for each in store.list_accounts(most=100, **choice).odd]


def test_odd_rows_hide_nobody_in_lists_and_counts(table_store: TableAccountStore, tables: TableServiceClient) -> None:
    """Written by hand, or by another version: listed by their keys with the reason, and counted apart."""
    saved(table_store.save_many(people(2)))
    table = tables.get_table_client("Accounts")
    table.create_entity({"PartitionKey": "03", "RowKey": "a"})
    odd = people(3)[2].account_id
    table.create_entity({"PartitionKey": "03", "RowKey": odd, "AccountId": odd, "State": "asleep", "DueAt": NOW})
    assert len(table_store.list_accounts().accounts) == 2
    assert odd_rows(table_store) == [("03", "a", "AccountId is missing"), ("03", odd, "State is not a state")]
    assert odd_rows(table_store, odd=True) == odd_rows(table_store)
    assert table_store.list_accounts(odd=True).accounts == ()
    counted = table_store.count_accounts(NOW)
    assert (counted.states[State.NEEDS_SIGN_IN], counted.odd) == (2, 2)
    with pytest.raises(RowUnreadable, match="State is not a state"):
        table_store.get(odd)


NO_SENSE: dict[str, dict[str, object]] = {
    "deep TaskState": {"TaskState": "[" * 20_000},
    "deep extra": {"extra": "[" * 20_000},
    "deep Recent": {"Recent": "[" * 20_000},
    "extra is a list": {"extra": "[1]"},
    "TaskState is a number": {"TaskState": "NaN"},
    "TaskState is too long with escapes": {"TaskState": '{"text": "' + "é" * 8_000 + '"}'},
    "extra is too long with all digits": {"extra": '{"numbers": [' + "1e15," * 4_000 + "1]}"},
    "Recent beyond the calendar": {"Recent": '[["0001-01-01T00:00:00+14:00","fresh"]]'},
    "FailureFirstAt at the edge": {"FailureFirstAt": datetime(9999, 12, 31, tzinfo=UTC)},
    "FailureClaims is a number": {"FailureClaims": 7},
    "FailureCode is a time": {"FailureCode": NOW},
    "Username is bytes": {"Username": b"ada"},
    "CacheVersion is a text": {"CacheVersion": "7"},
    "CacheVersion is a truth": {"CacheVersion": True},
    "CacheCount is negative": {"CacheCount": -1},
    "LeaseOwner is a number": {"LeaseOwner": 7},
    "AccountId is a number": {"AccountId": 7},
}


@pytest.mark.parametrize("changes", NO_SENSE.values(), ids=NO_SENSE)
def test_a_value_of_another_type_makes_no_sense(changes: dict[str, object]) -> None:
    """Nothing later trips over it."""
    (name,) = changes
    with pytest.raises(OddValue, match=f"^{name} is not an? "):
        from_entity(to_entity(an_account()) | changes, "e")


@pytest.mark.parametrize(
    "changes",
    [{"Cache1": None}, {"Cache1": "text"}, {"CacheCount": 10**9}],
    ids=["a part is missing", "a part is a text", "a part too many"],
)
def test_a_damaged_token_cache_makes_no_row_odd(changes: dict[str, object]) -> None:
    """It can't be opened, or can; both are ordinary outcomes, which the sweep saves."""
    account = an_account()
    expected = account.sealed_cache if "CacheCount" in changes else account.sealed_cache[: 64 * 1024]
    assert from_entity(to_entity(account) | changes, "e") == replace(account, sealed_cache=expected)


def test_rows_that_make_no_sense_hide_nobody_and_keep_no_slot_due(
    table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """They are left out of turns and of the slot's next time; lists and counts have them apart."""
    crowd = people(2 + len(NO_SENSE))
    table = tables.get_table_client("Accounts")
    good = saved(table_store.save_many(crowd[:2]))
    for account, changes in zip(crowd[2:], NO_SENSE.values(), strict=True):
        table.create_entity(to_entity(replace(account, failure=Failure("50173", NOW, NOW, claims="{}"))) | changes)
    table.create_entity({"PartitionKey": "03", "RowKey": "soon", "DueAt": "soon"})
    assert sorted(each.account_id for page in table_store.due("03", NOW) for each in page) == sorted(
        each.account_id for each in good
    )
    for account, changes in zip(crowd[2:], NO_SENSE.values(), strict=True):
        if "AccountId" not in changes:
            with pytest.raises(RowUnreadable):
                table_store.get(account.account_id)
    for index in (None, Index(1000, NOW)):  # by scan, and one by one
        this_pass = table_store.begin_pass(Slot("03", NOW, index=index))
        found = [each for page in this_pass.pages(NOW, odd_until=LATER) for each in page]
        assert sorted(each.account_id for each in found) == sorted(each.account_id for each in good)
        this_pass.complete()
        assert this_pass.next_due() == NOW
    this_pass = table_store.begin_pass(Slot("03", NOW, index=index))
    for account in [each for page in this_pass.pages(NOW, odd_until=LATER) for each in page]:
        this_pass.note(table_store.save(replace(account, due_at=NOW + timedelta(hours=2))))
    this_pass.complete()
    assert this_pass.next_due() == LATER, "the odd ones keep no slot due before"
    assert len(table_store.list_accounts(most=100).accounts) == 2
    reasons = [next(iter(changes)) for changes in NO_SENSE.values()]
    assert sorted(reason.split()[0] for _, _, reason in odd_rows(table_store)) == sorted([*reasons, "AccountId"])
    counted = table_store.count_accounts(NOW + timedelta(minutes=1))
    assert (counted.overdue, counted.odd) == (0, len(NO_SENSE) + 1)


@pytest.mark.parametrize("place", [("zz", "a"), ("03", "50%"), ("03", "it's"), ("zz", "")])
def test_an_odd_row_can_be_removed_wherever_it_is(
    table_store: TableAccountStore, tables: TableServiceClient, place: tuple[str, str]
) -> None:
    """By its keys and the ETag that the list gave; not when it changed since."""
    saved(table_store.save_many(people(1)))
    table = tables.get_table_client("Accounts")
    table.create_entity({"PartitionKey": place[0], "RowKey": place[1], "DueAt": "soon"})
    (row,) = table_store.list_accounts(odd=True).odd
    with pytest.raises(Conflict):
        table_store.delete_odd(replace(row, etag=row.etag.replace("20", "19")))
    assert table_store.delete_odd(row)
    assert not table_store.delete_odd(row)
    assert odd_rows(table_store) == []
    assert len(table_store.list_accounts().accounts) == 1


# Deletions


def test_a_deletion_that_was_held_up_deletes_no_newer_sign_in(
    storage: ServiceShapedStorage, table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """It names the ETag that was read. The row was deleted by another way meanwhile, and made anew."""
    saved(table_store.save_many([an_account(session_generation="old")]))
    direct = TableAccountStore(tables)

    def sign_out_and_in_again() -> None:
        assert direct.delete("oid.tid")
        direct.save(an_account(session_generation="new"))

    storage.add(**BATCH, body="DELETE", before=sign_out_and_in_again, times=1)
    assert table_store.delete("oid.tid")
    known = direct.get("oid.tid")
    assert known is not None
    assert known.session_generation == "new"


def test_a_row_that_changes_while_it_is_deleted_is_deleted_all_the_same(
    storage: ServiceShapedStorage, table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """A sweep saved it in between: it is read again."""
    known = table_store.save(an_account())
    direct = TableAccountStore(tables)
    storage.add(**BATCH, body="DELETE", before=lambda: direct.save(known), times=1)
    assert table_store.delete("oid.tid")
    assert direct.get("oid.tid") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"StartedAt": "soon"},
        {"Seconds": float("nan")},
        {"Seconds": float("inf")},
        {"Seconds": 1e300},
        {"Seconds": -1e12},
        {"OldestOverdue": float("inf")},
        {"Slots": -1},
        {"fresh": -5, "unavailable": 5},
        {"Stopped": 7},
    ],
    ids=str,
)
def test_odd_rows_hide_no_sweep(
    table_store: TableAccountStore, tables: TableServiceClient, changes: dict[str, object]
) -> None:
    """Of those that are read, the odd ones are left out: pages and the heartbeat count with what is there."""
    record = SweepRecord(started_at=NOW, seconds=1, slots=1, oldest_overdue=(NOW - EPOCH).total_seconds())
    table_store.record_sweep(record)
    odd = sweep_entity(replace(record, slots=2), "odd") | {"RowKey": "0"} | changes
    tables.get_table_client("Sweeps").create_entity(odd)
    assert table_store.recent_sweeps(2) == [record]


def test_what_was_read_can_be_written_again(table_store: TableAccountStore, tables: TableServiceClient) -> None:
    """Nobody's new tokens are refused for a long name that grows when it is folded, or for a long history."""
    (account,) = saved(table_store.save_many(people(1)))
    turns = [["2026-03-01", "fresh"]] * 1_300
    row = {"PartitionKey": "03", "RowKey": account.account_id, "Username": "ß" * 20_000, "Recent": json.dumps(turns)}
    tables.get_table_client("Accounts").update_entity(row)
    known = table_store.get(account.account_id)
    assert known
    written = table_store.save(replace(known, cache_version=known.cache_version + 1))
    assert (len(written.recent), written.username) == (10, "ß" * 20_000)
    found = table_store.list_accounts(username="ssss").accounts
    assert [each.account_id for each in found] == [account.account_id]


def test_a_row_copied_under_another_key_is_nobodys_turn(
    table_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """Who can write to the table gives nobody a second turn."""
    (account,) = saved(table_store.save_many(people(1)))
    table = tables.get_table_client("Accounts")
    row = dict(table.get_entity("03", account.account_id))
    table.create_entity(row | {"RowKey": "copy"})
    table.create_entity(row | {"PartitionKey": "04"})
    assert [each for page in table_store.due("03", NOW) for each in page] == [account]
    assert [each for page in table_store.due("04", NOW) for each in page] == []
    places = [(each.slot, each.key) for each in table_store.list_accounts(odd=True).odd]
    assert places == [("03", "copy"), ("04", account.account_id)]


# Rows of the first edition

FIRST = ["a/b", "a%2Fb", "auth0|50%", "x~y", "x+y", "a_x002F_b", 'a\\b#c?d"e', "ü/x", "tab\t", "~" * 200, "50 % + tax"]


@pytest.fixture(params=["azurite", "service"])
def old_store(request: pytest.FixtureRequest, tables: TableServiceClient) -> TableAccountStore:
    """A store with one row for each of these ids, written as the first edition wrote it: with its key, and without
    WriteId."""
    made: TableAccountStore = (
        TableAccountStore(tables) if request.param == "azurite" else request.getfixturevalue("table_store")
    )
    made.slots()  # makes the tables
    for account_id in FIRST:
        row = to_entity(an_account(account_id)) | {"RowKey": first_edition.first_key(account_id)}
        tables.get_table_client("Accounts").create_entity({name: row[name] for name in row if name != "WriteId"})
    return made


def keys(tables: TableServiceClient) -> list[str]:
    """Of all accounts' rows."""
    return sorted(row["RowKey"] for row in tables.get_table_client("Accounts").list_entities())


@pytest.mark.parametrize("account_id", FIRST)
def test_a_row_of_the_first_edition_is_found_and_moved(
    old_store: TableAccountStore, tables: TableServiceClient, account_id: str
) -> None:
    """By get: the row is there once, under its new key, and can be written."""
    known = old_store.get(account_id)
    assert known is not None
    assert known == an_account(account_id, sealed_cache=known.sealed_cache)
    assert len(keys(tables)) == len(FIRST)
    assert row_key(account_id) in keys(tables)
    assert first_edition.first_key(account_id) not in keys(tables)
    assert old_store.get(account_id) == known
    assert old_store.save(replace(known, username="new")).etag != known.etag


@pytest.mark.parametrize("account_id", FIRST)
def test_a_row_of_the_first_edition_is_swept(
    old_store: TableAccountStore, tables: TableServiceClient, account_id: str
) -> None:
    """By a scan: everybody has their turn, with an ETag that can be written with."""
    found = [each for page in old_store.due(slot_of(account_id), NOW) for each in page]
    (known,) = (each for each in found if each.account_id == account_id)
    assert first_edition.first_key(account_id) not in keys(tables)
    saved(old_store.save_many([replace(known, username="new")]))
    assert len(keys(tables)) == len(FIRST)


@pytest.mark.parametrize("account_id", FIRST)
def test_a_row_of_the_first_edition_is_deleted(
    old_store: TableAccountStore, tables: TableServiceClient, account_id: str
) -> None:
    """And nobody else's."""
    assert old_store.delete(account_id)
    assert len(keys(tables)) == len(FIRST) - 1
    assert not old_store.delete(account_id)
    assert old_store.get(account_id) is None
    assert all(old_store.get(each) for each in FIRST if each != account_id)


SOLIDUS = next(f"{number}/b" for number in range(1000) if slot_of(f"{number}/b") == "03")
"""An id in the slot of `people` that had another key in the first edition."""


def add_first_edition_row(tables: TableServiceClient, account: Account) -> None:
    """Writes an account as the first edition wrote it."""
    row = to_entity(account) | {"RowKey": first_edition.first_key(account.account_id)}
    tables.get_table_client("Accounts").create_entity({name: row[name] for name in row if name != "WriteId"})


@pytest.mark.parametrize("trouble", [{"status": 403}, {"status": 400, "code": "InvalidInput"}, {"status": 0}])
def test_a_row_that_cannot_be_moved_hides_nobody(
    storage: ServiceShapedStorage,
    table_store: TableAccountStore,
    tables: TableServiceClient,
    caplog: pytest.LogCaptureFixture,
    trouble: dict[str, Any],
) -> None:
    """The others have their turn; it keeps its slot not due."""
    good = saved(table_store.save_many(people(2)))
    add_first_edition_row(tables, an_account(SOLIDUS))
    storage.add(**BATCH, **trouble)
    found = [each for page in table_store.due("03", NOW) for each in page]
    assert sorted(each.account_id for each in found) == sorted(each.account_id for each in good)
    assert "could not be moved" in caplog.text
    storage.clear()
    storage.add(**BATCH, body="/Accounts.*RowKey", **trouble)
    this_pass = table_store.begin_pass(Slot("03", NOW))
    for account in [each for page in this_pass.pages(NOW, odd_until=LATER) for each in page]:
        this_pass.note(replace(account, due_at=NOW + timedelta(days=1)))
    this_pass.complete()
    assert this_pass.next_due() == LATER
    with pytest.raises(StoreUnavailable):
        table_store.get(SOLIDUS)


@pytest.mark.parametrize("trouble", [{"status": 500, "code": "InternalError"}, {"status": 0}, {"status": 502}])
def test_a_move_whose_answer_was_lost_is_known(
    storage: ServiceShapedStorage,
    table_store: TableAccountStore,
    tables: TableServiceClient,
    trouble: dict[str, Any],
) -> None:
    """By the row under the new key; its ETag can be written with."""
    table_store.slots()
    add_first_edition_row(tables, an_account(SOLIDUS))
    storage.add(**BATCH, **trouble, forward=True, times=1)
    found = [each for page in table_store.due("03", NOW) for each in page]
    assert [each.account_id for each in found] == [SOLIDUS]
    assert keys(tables) == [row_key(SOLIDUS)]
    saved(table_store.save_many([replace(found[0], username="new")]))


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ({"last_activity": NOW}, {"last_activity": NOW - timedelta(days=1)}, "old"),
        ({"last_activity": NOW - timedelta(days=1)}, {"last_activity": NOW}, "new"),
        ({"cache_version": 8}, {"cache_version": 9}, "new"),
        ({"cache_version": 9}, {"cache_version": 8}, "old"),
        ({}, {}, "new"),
    ],
)
def test_of_two_rows_the_one_with_the_later_activity_stays(
    table_store: TableAccountStore,
    tables: TableServiceClient,
    old: dict[str, object],
    new: dict[str, object],
    kept: str,
) -> None:
    """Both editions were running: nobody's newer sign-in is lost, and the slot has one row."""
    table_store.slots()
    add_first_edition_row(tables, an_account(SOLIDUS, username="old", **old))
    tables.get_table_client("Accounts").create_entity(to_entity(an_account(SOLIDUS, username="new", **new)))
    assert len([each for page in table_store.due("03", NOW) for each in page]) <= 1
    assert keys(tables) == [row_key(SOLIDUS)]
    (account,) = (each for page in table_store.due("03", NOW) for each in page)
    assert account.username == kept
    saved(table_store.save_many([replace(account, due_at=NOW + timedelta(days=5))]))


def test_deleting_leaves_neither_of_two_rows(table_store: TableAccountStore, tables: TableServiceClient) -> None:
    """A deleted account doesn't come back."""
    table_store.slots()
    add_first_edition_row(tables, an_account(SOLIDUS))
    tables.get_table_client("Accounts").create_entity(to_entity(an_account(SOLIDUS)))
    assert table_store.delete(SOLIDUS)
    assert table_store.get(SOLIDUS) is None
    assert keys(tables) == []


def test_a_row_that_is_moved_by_two_at_once_is_moved_once(
    storage: ServiceShapedStorage, old_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """The slower one finds it under its new key."""
    with storage.client() as client:
        slow = TableAccountStore(client)
        storage.add(**BATCH, before=lambda: old_store.get("a/b"), times=1)
        known = slow.get("a/b")
    assert known is not None
    assert known == old_store.get("a/b")
    assert len(keys(tables)) == len(FIRST)


def test_an_old_key_that_is_somebody_elses_new_one_locks_nobody_out(
    old_store: TableAccountStore, tables: TableServiceClient
) -> None:
    """`a_x002F_b` was the key of that account, and is now the key of `a/b`."""
    both = ((f"{number}_x002F_b", f"{number}/b") for number in range(1000))
    old, new = next(pair for pair in both if slot_of(pair[0]) == slot_of(pair[1]))
    tables.get_table_client("Accounts").create_entity(to_entity(an_account(old)) | {"RowKey": old})
    assert first_edition.first_key(old) == row_key(new)
    assert old_store.get(new) is None
    saved = old_store.save(an_account(new))
    assert old_store.get(new) == saved
    known = old_store.get(old)
    assert known is not None
    assert known.account_id == old


def test_an_ordinary_account_is_looked_for_once(storage: ServiceShapedStorage, table_store: TableAccountStore) -> None:
    """Nothing of the first edition costs an Entra account a request."""
    saved(table_store.save_many([an_account("oid.tid")]))
    storage.clear()
    assert table_store.get("oid.tid") is not None
    assert table_store.get("other.tid") is None
    assert len(storage.requests) == 2


def test_times_with_seven_digits_are_read(table_store: TableAccountStore, tables: TableServiceClient) -> None:
    """As another tool may have written them."""
    (account,) = saved(table_store.save_many(people(1)))
    row = {"PartitionKey": "03", "RowKey": account.account_id}
    seven = {"DueAt": "2026-03-01T11:59:59.9999999Z", "DueAt@odata.type": "Edm.DateTime"}
    tables.get_table_client("Accounts").update_entity(row | seven, mode=UpdateMode.MERGE)
    known = table_store.get(account.account_id)
    assert known is not None
    expected = datetime(2026, 3, 1, 11, 59, 59, 999999, tzinfo=NOW.tzinfo)
    assert known.due_at == expected
    assert [each.due_at for page in table_store.due("03", NOW) for each in page] == [expected]
    assert table_store.list_accounts().accounts[0].due_at == expected
