"""A row that somebody wrote by hand, or that another version wrote, concerns its person alone: they sign in again or
sign out, an operator sees and removes it, and everybody else is swept as without it."""

import csv
import html
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import pytest
from azure.data.tables import TableServiceClient, UpdateMode
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localdev.browser import Browser
from localdev.tenant import SampleTenant
from shared.accounts import EPOCH, Account, Source, slot_of
from shared.identity import BearerTokens, Caller
from shared.services import Services
from shared.store.protocol import OddRow
from shared.store.tables import reading
from shared.store.tables.rows import PROPERTIES
from shared.sweep_queue import due_slots
from tests.running_app import Clock, RunningApp, text_of
from tests.support import MakeServices
from tests.web_api.api_client import api_token
from timer_worker.sweep import Sweep
from web_api.on_behalf_of import acquire_token
from web_api.profile import withdraw

ADA, BEN = "ada@contoso.example", "ben@contoso.example"
ODD: dict[str, dict[str, object]] = {
    "State": {"State": "half-asleep"},
    "DueAt": {"DueAt": "soon"},
    "SessionGeneration": {"SessionGeneration": 7},
    "Username": {"Username": 5},
    "TaskState": {"TaskState": "[1]"},
}


@pytest.fixture
def app(start_app: Callable[..., RunningApp]) -> RunningApp:
    """The app, with operators."""
    return start_app(ADMIN_ROLE="Understudy.Operator")


@pytest.fixture
def ben(app: RunningApp) -> Browser:
    """Ben's browser, where he is signed in."""
    browser = app.browser()
    browser.sign_in(BEN)
    return browser


def spoil(tables: TableServiceClient, account: Account | None, changes: dict[str, object]) -> None:
    """Writes into a row, as an operator could with Storage Explorer."""
    assert account is not None
    row = {"PartitionKey": account.slot, "RowKey": account.account_id}
    tables.get_table_client("Accounts").update_entity(row | changes, mode=UpdateMode.MERGE)


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_person_whose_row_is_odd_signs_in_again_and_is_whole(
    app: RunningApp, ben: Browser, tables: TableServiceClient, changes: dict[str, object]
) -> None:
    """No page fails. The sign-in replaces the row, and they are swept as before."""
    spoil(tables, app.account_of(BEN), changes)
    for path in ("/", "/me", "/me/photo", "/accounts"):
        answer = ben.get(path, Accept="application/json")
        assert (answer.status_code, answer.json()["code"]) == (401, "row_unreadable"), path
    page = ben.get("/me", Accept="text/html")
    assert page.status_code == 401
    assert "What is stored for you can't be read" in html.unescape(text_of(page))
    assert 'href="/signin' in page.text
    ben.sign_in(BEN)
    assert ben.get("/me").status_code == 200
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}


@pytest.mark.parametrize("keep", ["", "background-work"])
def test_person_whose_row_is_odd_can_sign_out(
    app: RunningApp, ben: Browser, tables: TableServiceClient, keep: str
) -> None:
    """The row goes in either case: nothing else would end their sessions."""
    spoil(tables, app.account_of(BEN), {"State": "half-asleep"})
    answer = ben.post("/signout", {"keep": keep} if keep else {})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert app.account_of(BEN) is None
    assert ben.get("/me").status_code == 401


def test_operator_sees_an_odd_row_with_its_key_and_its_reason_and_removes_it(
    app: RunningApp, ben: Browser, tables: TableServiceClient
) -> None:
    """On the page, in the JSON document, in the CSV file and in the count; the others are listed as before."""
    account = app.account_of(BEN)
    assert account is not None
    spoil(tables, account, {"TaskState": "[1]"})
    operator = app.browser()
    operator.sign_in(ADA)
    document = operator.get("/accounts.json").json()
    place = {"slot": account.slot, "key": account.account_id}
    assert document["odd_rows"] == [place | {"reason": "TaskState is not a JSON object"}]
    assert document["counts"] == {
        "as_of": ANY,
        "states": {"active": 1, "needs_sign_in": 0, "unreadable": 0},
        "overdue": 0,
        "odd": 1,
    }
    assert [each["username"] for each in document["accounts"]] == [ADA]
    only_odd = operator.get("/accounts.json?show=odd").json()
    assert (len(only_odd["odd_rows"]), only_odd["accounts"]) == (1, [])
    listed = list(csv.DictReader(io.StringIO(operator.get("/accounts.csv").text)))
    assert [each["odd_row"] for each in listed] == ["", f"{account.slot}/{account.account_id}"]
    assert (listed[1]["state"], listed[1]["failure_reason"]) == ("odd", "TaskState is not a JSON object")
    page = operator.get("/accounts?show=odd").text
    assert account.account_id in page
    assert "TaskState is not a JSON object" in page
    (form,) = re.findall(r'<form method="post" action="/accounts/remove">.*?</form>', page, re.DOTALL)
    fields = {name: html.unescape(value) for name, value in FIELD.findall(form)}
    stale = fields | {"etag": 'W/"another"'}
    assert operator.post("/accounts/remove", stale).headers["Location"] == "/accounts?show=odd&notice=row-changed"
    assert operator.post("/accounts/remove", fields).headers["Location"] == "/accounts?show=odd&notice=row-removed"
    assert operator.post("/accounts/remove", fields).headers["Location"] == "/accounts?show=odd&notice=row-gone"
    assert app.account_of(BEN) is None


FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


@pytest.mark.parametrize("etag", ["*", 'W/"a"\r\nIf-Match: *', 'W/"\xe9"', "W/", '"'])
def test_an_etag_that_is_none_removes_nothing(app: RunningApp, ben: Browser, etag: str) -> None:
    """It would become a header; `*` would remove whatever is there."""
    operator = app.browser()
    operator.sign_in(ADA)
    account = app.account_of(BEN)
    assert account is not None
    form = {"slot": account.slot, "key": account.account_id, "etag": etag}
    assert operator.post("/accounts/remove", form).status_code == 400
    assert app.account_of(BEN) == account


def test_odd_row_can_be_removed_by_its_account_id_too(
    app: RunningApp, ben: Browser, tables: TableServiceClient
) -> None:
    """The operator's page was loaded before the row became odd."""
    operator = app.browser()
    operator.sign_in(ADA)
    account = app.account_of(BEN)
    assert account is not None
    spoil(tables, account, {"State": 5})
    answer = operator.post("/accounts/remove", {"account_id": account.account_id})
    assert answer.headers["Location"] == "/accounts?notice=removed"
    assert app.account_of(BEN) is None


def test_characters_that_cannot_be_shown_break_no_page(
    app: RunningApp, ben: Browser, tables: TableServiceClient
) -> None:
    """Half a surrogate pair is an odd text."""
    spoil(tables, app.account_of(BEN), {"FailureCode": "\ud800"})
    operator = app.browser()
    operator.sign_in(ADA)
    for path in ("/accounts", "/accounts.json", "/accounts.csv"):
        assert operator.get(path).status_code == 200
    (row,) = operator.get("/accounts.json").json()["odd_rows"]
    assert row["reason"] == "FailureCode is not a text"


def caller(app: Services, tenant: SampleTenant) -> Caller:
    """Ben, calling the API."""
    return BearerTokens(app.settings, app.identity.verifier).authenticate(f"Bearer {api_token(tenant, BEN)}")


def test_the_api_replaces_an_odd_row_and_withdraws_one(
    make_services: MakeServices, sample_tenant: SampleTenant, tables: TableServiceClient
) -> None:
    """A call enrols its person anew; a withdrawal removes what is there."""
    app = make_services()
    who = caller(app, sample_tenant)
    _, before = acquire_token(who, app)
    spoil(tables, before, {"Recent": "yesterday"})
    token, after = acquire_token(who, app)
    assert token
    assert after is not None
    assert (after.source, app.store.get(after.account_id)) == (Source.ON_BEHALF_OF, after)
    spoil(tables, after, {"Recent": "yesterday"})
    withdraw(who, app)
    assert app.store.get(after.account_id) is None


# Everybody else

NAMES = (*(name for name in PROPERTIES if name not in ("PartitionKey", "RowKey")), "Cache0", "WriteId", "any")
TIMES = st.integers(-11_644_387_200, 253_402_214_400).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TYPES = st.sampled_from(["", "Edm.DateTime", "Edm.Int64", "Edm.Binary", "Edm.Guid", "Edm.Double", "Edm.Boolean"])


@settings(max_examples=500)
@given(name=st.sampled_from([*NAMES, "PartitionKey", "RowKey"]), value=JSON, kind=TYPES)
def test_any_json_in_any_property_is_an_account_or_an_odd_row(name: str, value: Any, kind: str) -> None:
    """Reading never raises, and the reason of an odd row names the property and not its value."""
    row: dict[str, Any] = {
        "PartitionKey": slot_of("oid.tid"),
        "RowKey": "oid.tid",
        "odata.etag": 'W/"1"',
        "AccountId": "oid.tid",
        "DueAt": "2026-03-01T12:00:00Z",
        "DueAt@odata.type": "Edm.DateTime",
        "LastActivity": "2026-03-01T12:00:00.1234567Z",
        "LastActivity@odata.type": "Edm.DateTime",
        "FailureCode": "50173",
        "FailureFirstAt": "2026-03-01T12:00:00Z",
        "FailureFirstAt@odata.type": "Edm.DateTime",
        "FailureLastAt": "2026-03-01T12:00:00Z",
        "FailureLastAt@odata.type": "Edm.DateTime",
        "LeaseOwner": "me",
        "LeaseUntil": "2026-03-01T12:00:00Z",
        "LeaseUntil@odata.type": "Edm.DateTime",
        "CacheCount": 1,
        "Cache0": "AAAA",
        "Cache0@odata.type": "Edm.Binary",
    }
    assert isinstance(reading.read(row), Account)
    found = reading.read(row | {name: value, f"{name}@odata.type": kind})
    if isinstance(found, OddRow):
        assert re.fullmatch(rf"({name}|AccountId) is (missing|not an? [\w ]+)|its keys are .*", found.reason)


SETTLED = st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.floats(allow_nan=False) | TIMES
VALUES = SETTLED | st.binary(max_size=9) | st.uuids() | st.text(st.characters(codec="utf-8"), max_size=20)


@pytest.fixture
def crowd(make_services: MakeServices, tables: TableServiceClient) -> tuple[Services, Clock, list[Account]]:
    """An app with people whose token caches can't be opened, so that no token is requested: three in one slot, and one
    in another."""
    clock = Clock()
    app = make_services(clock=clock, wait=clock.wait)
    names = [f"somebody-{number}" for number in range(500)]
    chosen = [name for name in names if slot_of(name) == "03"][:3] + [name for name in names if slot_of(name) == "07"][
        :1
    ]
    return app, clock, [app.store.save(Account(account_id=name, last_activity=clock())) for name in chosen]


def test_whatever_is_in_one_row_the_others_are_swept(
    crowd: tuple[Services, Clock, list[Account]], tables: TableServiceClient
) -> None:
    """Those in its slot and those in all others, at the time at which they would be without it; and nothing in that
    row makes a slot due any sooner."""
    app, clock, people = crowd
    table = tables.get_table_client("Accounts")
    victim, others = people[0], people[1:]
    good = dict(table.get_entity(victim.slot, victim.account_id))

    @settings(max_examples=30)
    @given(name=st.sampled_from(NAMES), value=VALUES)
    @example(name="DueAt", value="soon")
    @example(name="DueAt", value=5)
    @example(name="DueAt", value=datetime(1601, 1, 2, tzinfo=UTC))
    @example(name="TaskState", value="[1]")
    @example(name="TaskState", value='{"text": "' + "é" * 8_000 + '"}')
    @example(name="Username", value=5)
    @example(name="Recent", value="[[]]")
    @example(name="AccountId", value="somebody else")
    @example(name="TenantId", value=UUID(int=7))
    @example(name="CacheCount", value=2**31 - 1)
    @example(name="FailureCode", value="\u2028")
    def write_and_sweep(name: str, value: Any) -> None:
        row = {each: good[each] for each in good if each != name}
        table.upsert_entity(row | ({} if value is None else {name: value}), mode=UpdateMode.REPLACE)
        clock.move(minutes=61)
        record = Sweep(app, tasks=()).run(due_slots(app.store, app.now()))
        assert record is not None
        assert record.stopped == ""
        for each in others:
            known = app.store.get(each.account_id)
            assert known is not None
            assert known.last_swept_at is not None
            assert clock() - known.last_swept_at < timedelta(minutes=2), (name, value)
            assert known.due_at > clock()
        assert due_slots(app.store, app.now()) == [], "no slot stays due for the odd row"

    write_and_sweep()


def test_a_row_that_becomes_odd_during_its_turn_stops_nobody(
    crowd: tuple[Services, Clock, list[Account]], tables: TableServiceClient
) -> None:
    """The save finds that the row changed, and then that it can't be read: that turn is void."""
    app, clock, people = crowd
    clock.move(minutes=61)
    before = app.store.save_many

    def spoil_first(accounts: Any) -> Any:
        spoil(tables, people[0], {"State": "half-asleep"})
        return before(accounts)

    app.store.save_many = spoil_first  # type: ignore[method-assign]
    record = Sweep(app, tasks=()).run(due_slots(app.store, app.now()))
    assert record is not None
    assert (record.stopped, record.counts) == ("", {"conflict": 1, "unreadable": 3})
