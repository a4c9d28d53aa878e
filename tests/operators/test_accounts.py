"""The operators' page and its documents: who may see them, what they show, what their buttons do."""

import base64
import csv
import io
import re
from collections.abc import Callable

import pytest
import requests
from azure.storage.queue import QueueServiceClient

from localdev.browser import Browser
from shared.accounts import Account
from tests.running_app import RunningApp, text_of

ADA, BEN, EMI = (f"{name}@contoso.example" for name in ("ada", "ben", "emi"))
PATHS = ("/accounts", "/accounts.json", "/accounts.csv")
ROLE = "Understudy.Operator"
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\tA1",
    "\r=1",
    "\rA1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A1",
    " =1",
    "\ufe661",
]
NESTED = base64.urlsafe_b64encode(b"[" * 2900).decode().rstrip("=")


@pytest.fixture
def app(start_app: Callable[..., RunningApp], queues: QueueServiceClient) -> RunningApp:
    """The app with operators, and empty queues."""
    return start_app(ADMIN_ROLE=ROLE)


@pytest.fixture
def operator(app: RunningApp) -> Browser:
    """Ada's browser: she has the role."""
    browser = app.browser()
    browser.sign_in(ADA)
    return browser


def rows(answer: requests.Response) -> list[dict[str, str]]:
    """The rows of a CSV answer."""
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text)))


def shown(username: str) -> str:
    """A username as it appears in the page's text: a line may break before the @."""
    return username.replace("@", " @")


@pytest.mark.parametrize("path", PATHS)
def test_only_operators_see_the_list(app: RunningApp, operator: Browser, path: str) -> None:
    """Strangers are refused, and so are people without the role."""
    assert app.browser().get(path).status_code == 401
    ben = app.browser()
    ben.sign_in(BEN)
    refused = ben.get(path)
    assert refused.status_code == 403
    assert ADA not in refused.text
    assert operator.get(path).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_without_a_role_in_the_settings_there_are_no_operators(start_app: Callable[..., RunningApp], path: str) -> None:
    """An empty ADMIN_ROLE is nobody's role."""
    browser = start_app().browser()
    browser.sign_in(ADA)
    assert browser.get(path).status_code == 403


@pytest.mark.parametrize("path", ["/accounts/remove", "/accounts/sweep"])
def test_only_operators_on_our_own_pages_can_change_anything(app: RunningApp, operator: Browser, path: str) -> None:
    """A form of another site and a person without the role are refused, and nothing changes."""
    ben = app.browser()
    ben.sign_in(BEN)
    known = app.account_of(BEN)
    assert known is not None
    form = {"account_id": known.account_id}
    assert app.browser().post(path, form).status_code == 401
    assert ben.post(path, form).status_code == 403
    assert operator.post(path, form, Origin="https://evil.example").status_code == 403
    assert operator.get(path).status_code in (404, 405)
    assert app.account_of(BEN) is not None


def test_list_says_who_is_set_aside_why_and_since_when(app: RunningApp, operator: Browser) -> None:
    """The page says it in words, and the documents have it too."""
    app.browser().sign_in(BEN)
    app.tenant.change_person(BEN, state="revoked")
    app.clock.move(minutes=6)
    app.sweep()
    page = text_of(operator.get("/accounts?show=needs_sign_in"))
    assert "must sign in again Your sign-in was revoked, or your password changed. (50173, since" in page
    assert shown(BEN) in page
    assert shown(ADA) not in page
    document = operator.get("/accounts.json").json()
    by_name = {each["username"]: each for each in document["accounts"]}
    assert by_name[BEN]["state"] == "needs_sign_in"
    assert by_name[BEN]["failure_code"] == "50173"
    assert by_name[BEN]["failure_since"]
    assert by_name[ADA]["state"] == "active"
    assert document["counts"]["states"] == {"active": 1, "needs_sign_in": 1, "unreadable": 0}
    assert document["sweeps"][0]["outcomes"] == {"fresh": 1, "sign_in_required": 1}


def test_no_token_and_no_cache_is_in_any_of_them(app: RunningApp, operator: Browser) -> None:
    """Even operators see none."""
    account = app.account_of(ADA)
    assert account is not None
    for path in PATHS:
        text = operator.get(path).text
        assert account.session_generation not in text
        assert not any(secret in text for secret in app.tenant.issued_secrets() if len(secret) > 12)


def test_every_row_has_a_cell_for_every_heading(app: RunningApp, operator: Browser) -> None:
    """In both tables of the page, and in the CSV file, whose columns are the keys of the JSON document."""
    app.sweep()
    app.clock.move(minutes=6)
    app.sweep()
    tables = operator.get("/accounts").text.split("<table>")[1:]
    cells = [[len(re.findall(r"<t[hd][ >]", row)) for row in table.split("<tr>")[1:]] for table in tables]
    assert [len(set(counts)) for counts in cells] == [1, 1]
    assert all(len(counts) > 1 for counts in cells)
    (row,) = rows(operator.get("/accounts.csv"))
    (account,) = operator.get("/accounts.json").json()["accounts"]
    assert list(row) == list(account)


def test_csv_comes_in_pages_with_a_link_to_the_next(app: RunningApp, operator: Browser) -> None:
    """Each person is listed once."""
    for number in range(9):
        app.services.store.save(Account(account_id=f"person-{number}", username=f"p{number}"))
    path, found = "/accounts.csv?top=4", []
    while path:
        answer = operator.get(path)
        found += [row["username"] for row in rows(answer)]
        path = answer.headers.get("Link", "").partition("<")[2].partition(">")[0]
    assert sorted(found) == [ADA, *(f"p{number}" for number in range(9))]


@pytest.mark.parametrize("username", FORMULAS)
def test_no_cell_is_a_formula(app: RunningApp, operator: Browser, username: str) -> None:
    """Usernames come from outside: a spreadsheet must not run one, in full width and small forms neither."""
    app.services.store.save(Account(account_id="evil", username=username))
    answer = operator.get("/accounts.csv")
    (row,) = (each for each in rows(answer) if each["account_id"] == "evil")
    assert row["username"].startswith("'")
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("username", "shown"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a; \u200b@SUM(A1);b", "a;' \u200b@SUM(A1);b"),
        ('a;"=1+1', "a;'\"=1+1"),
        ("a|-1", "a|'-1"),
        ("a\t\uff1d1", "a\t'\uff1d1"),
        ("a\r\n+1", "a\r\n'+1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("a-b;c=d@contoso.example", "a-b;c=d@contoso.example"),
    ],
)
def test_no_formula_begins_inside_a_cell(app: RunningApp, operator: Browser, username: str, shown: str) -> None:
    """Where a comma is the decimal sign, spreadsheets begin a new cell at each semicolon, within our quotes too."""
    app.services.store.save(Account(account_id="evil", username=username))
    (row,) = (each for each in rows(operator.get("/accounts.csv")) if each["account_id"] == "evil")
    assert row["username"] == shown


@pytest.mark.parametrize("path", PATHS)
def test_nothing_keeps_a_copy_of_the_list(app: RunningApp, operator: Browser, path: str) -> None:
    """Neither a browser nor a proxy stores who uses the app."""
    assert operator.get(path).headers["Cache-Control"] == "no-store"


def test_names_of_the_world_are_text_on_the_page(app: RunningApp, operator: Browser) -> None:
    """A name with markup is shown as text."""
    evil = '<script>alert(1)</script>"><img src=x>@contoso.example'
    app.services.store.save(Account(account_id="evil<b>", username=evil))
    page = operator.get("/accounts").text
    assert "<script>" not in page
    assert "<img src=x>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "query",
    [
        "show=everyone",
        "cursor=nonsense",
        pytest.param(f"cursor={NESTED}", id="cursor of deep nesting"),
        "top=0",
        "top=9999999",
        "search=" + "x" * 500,
        "show=active&show=x",
    ],
)
def test_a_question_that_makes_no_sense_is_refused(operator: Browser, query: str) -> None:
    """The answer is a page, not a storage error, and no failure of ours."""
    answer = operator.get(f"/accounts.json?{query}", Accept="text/html")
    assert answer.status_code == 400
    assert "<h1" in answer.text


def test_removing_somebody_ends_their_sessions_and_their_background_work(app: RunningApp, operator: Browser) -> None:
    """Afterwards the operator is back at the same list."""
    ben = app.browser()
    ben.sign_in(BEN)
    account = app.account_of(BEN)
    assert account is not None
    answer = operator.post("/accounts/remove", {"account_id": account.account_id, "show": "active", "search": "b"})
    assert answer.headers["Location"] == "/accounts?show=active&search=b&notice=removed"
    assert "Nothing more is done" in text_of(operator.get(answer.headers["Location"]))
    assert app.account_of(BEN) is None
    assert ben.get("/me").status_code == 401
    again = operator.post("/accounts/remove", {"account_id": account.account_id})
    assert again.headers["Location"] == "/accounts?notice=gone"


def test_removing_nobody_in_particular_is_refused(app: RunningApp, operator: Browser) -> None:
    """A form without an account names nobody, and removes nobody."""
    assert operator.post("/accounts/remove", {"account_id": ""}).status_code == 400
    assert len(app.accounts()) == 1


def test_sweep_now_only_puts_messages_and_those_sweep_everybody_who_is_due(app: RunningApp, operator: Browser) -> None:
    """The request doesn't wait for the sweep."""
    app.browser().sign_in(BEN)
    app.sweep()
    nothing = operator.post("/accounts/sweep")
    assert nothing.headers["Location"] == "/accounts?notice=nothing-due"
    app.clock.move(minutes=6)
    assert operator.post("/accounts/sweep").headers["Location"] == "/accounts?notice=sweep"
    assert app.tenant.log()["refresh_tokens_redeemed"] == 0
    app.drain()
    account = app.account_of(BEN)
    assert account is not None
    assert account.last_swept_at is not None


def test_other_credentials_do_not_stand_in_the_way_of_a_session(app: RunningApp, operator: Browser) -> None:
    """A proxy in front of the app may ask browsers for a password."""
    proxied = app.browser(Authorization="Basic b3BlbjpzZXNhbWU=")
    proxied.sign_in(ADA)
    assert proxied.get("/accounts.json").status_code == 200


def test_overdue_people_and_a_missing_heartbeat_stand_out(app: RunningApp, operator: Browser) -> None:
    """They stand out after more than three missed ticks."""
    app.browser().sign_in(EMI)
    app.sweep()
    assert operator.get("/accounts.json").json()["heartbeat"]["state"] == "beating"
    app.clock.move(minutes=50)
    document = operator.get("/accounts.json").json()
    assert document["heartbeat"]["state"] == "missing"
    assert EMI in [each["username"] for each in document["accounts"] if each["overdue"]]
    page = text_of(operator.get("/accounts?show=overdue"))
    assert "Sweeps are not finishing" in page
    assert shown(EMI) in page


def test_roles_are_those_of_the_last_sign_in(app: RunningApp, operator: Browser) -> None:
    """A person who lost the role keeps it until they sign in again."""
    app.tenant.change_person(ADA, roles=[])
    operator.sign_in(ADA)
    assert operator.get("/accounts").status_code == 403
