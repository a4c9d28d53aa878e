"""Whose operators count: where many tenants sign in the role opens nothing, as any administrator can assign it."""

import logging
from collections.abc import Callable

import pytest

from localdev.browser import Browser
from localdev.tenant import FABRIKAM
from tests.running_app import RunningApp, text_of

ADA, BEN, GRETA = "ada@contoso.example", "ben@contoso.example", "greta@fabrikam.example"
PAGES = ("/accounts", "/accounts.json", "/accounts.csv")
ROLE = "Understudy.Operator"
CLOSED = "operators' pages are closed: many tenants sign in; OPERATOR_TENANTS must say whose operators count"

StartApp = Callable[..., RunningApp]
StartMany = Callable[..., RunningApp]


@pytest.fixture
def start_many(start_app: StartApp) -> StartMany:
    """Starts the app for many tenants: `start_many(OPERATOR_TENANTS="…")`. Greta has the role in Fabrikam."""
    tenant = start_app().tenant
    tenant.change_person(GRETA, roles=[ROLE])

    def start(**changes: str) -> RunningApp:
        return start_app(ADMIN_ROLE=ROLE, AUTHORITY=tenant.authority_of("organizations"), **changes)

    return start


def signed_in(app: RunningApp, username: str) -> Browser:
    """A person's browser."""
    browser = app.browser()
    assert browser.sign_in(username).status_code == 303
    return browser


def code_of(browser: Browser, path: str) -> tuple[int, str]:
    """The status and code of a refusal."""
    answer = browser.get(path, Accept="application/json")
    return answer.status_code, answer.json()["code"]


def test_a_role_of_another_tenant_reads_and_removes_nobody(start_many: StartMany) -> None:
    """Greta's administrators gave her the role in their tenant; only Contoso's operators count."""
    app = start_many(OPERATOR_TENANTS=start_many().tenant.tenant_id)
    signed_in(app, BEN)
    ben = app.account_of(BEN)
    assert ben is not None
    greta = signed_in(app, GRETA)
    assert FABRIKAM.tid in {account.tenant_id for account in app.accounts()}
    for path in PAGES:
        assert BEN not in greta.get(path).text
        assert code_of(greta, path) == (403, "not_an_operator")
    assert greta.post("/accounts/remove", {"account_id": ben.account_id}).status_code == 403
    assert greta.post("/accounts/sweep").status_code == 403
    assert app.account_of(BEN) is not None
    assert "/accounts" not in greta.get("/").text


def test_operators_of_a_listed_tenant_read_and_remove(start_many: StartMany) -> None:
    """The list may have several tenants, and their IDs in any case."""
    listed = f"{FABRIKAM.tid}, {start_many().tenant.tenant_id}".upper()
    app = start_many(OPERATOR_TENANTS=listed)
    signed_in(app, BEN)
    ben = app.account_of(BEN)
    assert ben is not None
    for username in (ADA, GRETA):
        operator = signed_in(app, username)
        assert [operator.get(path).status_code for path in PAGES] == [200, 200, 200]
        assert 'href="/accounts"' in operator.get("/").text
    assert operator.post("/accounts/remove", {"account_id": ben.account_id}).status_code == 303
    assert app.account_of(BEN) is None


def test_tenant_is_looked_at_with_every_request(start_many: StartMany) -> None:
    """A session outlives the list that let it in, and is an operator's no more."""
    app = start_many(OPERATOR_TENANTS=f"{FABRIKAM.tid} {start_many().tenant.tenant_id}")
    greta = signed_in(app, GRETA)
    assert greta.get("/accounts").status_code == 200
    start_many(OPERATOR_TENANTS=app.tenant.tenant_id)
    assert code_of(greta, "/accounts") == (403, "not_an_operator")
    assert greta.get("/").status_code == 200


def test_session_of_another_tenant_is_no_operators_once_the_app_is_for_one(
    start_many: StartMany, start_app: StartApp
) -> None:
    """AUTHORITY may have been for many tenants when the session began. Its one tenant's ID is compared."""
    greta = signed_in(start_many(OPERATOR_TENANTS=FABRIKAM.tid), GRETA)
    assert greta.get("/accounts").status_code == 200
    start_app(ADMIN_ROLE=ROLE, OPERATOR_TENANTS="")
    assert code_of(greta, "/accounts") == (403, "not_an_operator")


def test_operators_pages_are_closed_until_the_tenants_are_named(start_many: StartMany) -> None:
    """To everybody with any role, and the page says what to set. Strangers are asked to sign in, as before."""
    app = start_many()
    assert app.browser().get("/accounts").status_code == 401
    signed_in(app, BEN)
    ben = app.account_of(BEN)
    assert ben is not None
    for username in (ADA, GRETA):
        browser = signed_in(app, username)
        for path in PAGES:
            assert code_of(browser, path) == (403, "operator_tenants_missing")
        assert "put your tenant's ID into its setting OPERATOR_TENANTS" in page_of(browser, "/accounts")
        assert browser.post("/accounts/remove", {"account_id": ben.account_id}).status_code == 403
        assert browser.post("/accounts/sweep").status_code == 403
        assert "/accounts" not in browser.get("/").text
    assert app.account_of(BEN) is not None


def page_of(browser: Browser, path: str) -> str:
    """A page's text, with plain apostrophes."""
    return text_of(browser.get(path, Accept="text/html")).replace("&#39;", "'")


def test_everything_else_goes_on_meanwhile(start_many: StartMany, caplog: pytest.LogCaptureFixture) -> None:
    """An upgrade stops nobody's work: people sign in and are swept, and the app is ready. Health and the log say it."""
    with caplog.at_level(logging.WARNING):
        app = start_many()
        ben = signed_in(app, BEN)
        app.clock.move(minutes=6)
        assert app.counts() == {"fresh": 1}
        assert ben.get("/me").status_code == 200
        ready = app.browser(Accept="application/json").get("/readyz", **{"x-functions-key": app.host.key})
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["checks"]["operators"] == {"ok": True, "detail": CLOSED.partition(": ")[2]}
    assert caplog.messages.count(CLOSED) == 1


@pytest.mark.parametrize("segment", ["", "contoso.example"], ids=["by ID", "by domain"])
def test_one_tenant_needs_no_list(start_app: StartApp, caplog: pytest.LogCaptureFixture, segment: str) -> None:
    """Only that tenant's administrators can assign the role; a guest has it from them, too."""
    tenant = start_app().tenant
    tenant.change_person(GRETA, roles=[ROLE])
    app = start_app(ADMIN_ROLE=ROLE, AUTHORITY=tenant.authority_of(segment or tenant.tenant_id))
    for username in (ADA, GRETA):
        assert signed_in(app, username).get("/accounts").status_code == 200
    assert CLOSED not in caplog.messages


def test_without_operators_there_is_nothing_to_name(start_app: StartApp, caplog: pytest.LogCaptureFixture) -> None:
    """Without ADMIN_ROLE the answer is that nobody is an operator, and no health check complains."""
    tenant = start_app().tenant
    app = start_app(AUTHORITY=tenant.authority_of("organizations"))
    assert code_of(signed_in(app, ADA), "/accounts") == (403, "not_an_operator")
    assert CLOSED not in caplog.messages
