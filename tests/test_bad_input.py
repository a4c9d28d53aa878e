"""Wrong input gets the right status and a clear page (or problem+json), and nothing is lost or half written."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.running_app import RunningApp, text_of

ADA = "ada@contoso.example"


def query(url: str, **changes: str | None) -> str:
    """The callback's URL with other parameters. None removes one."""
    values = {name: each[0] for name, each in parse_qs(urlsplit(url).query).items()} | changes
    return f"/signin/callback?{urlencode({name: value for name, value in values.items() if value is not None})}"


@pytest.mark.parametrize(
    "changes",
    [{"state": None}, {"state": "wrong"}, {"state": ""}, {"code": None}, {"code": ""}],
    ids=["no state", "wrong state", "empty state", "no code", "empty code"],
)
def test_callback_with_wrong_parameters_is_refused(app: RunningApp, changes: dict[str, str | None]) -> None:
    """400: nobody is stored and no code is used up. Only an answer with the flow's own state ends the flow."""
    browser = app.browser()
    callback = browser.to_callback(ADA)
    answer = browser.get(query(callback, **changes))
    assert answer.status_code == 400
    assert "unknown_flow" in text_of(answer) or "empty_answer" in text_of(answer)
    assert app.accounts() == []
    assert app.tenant.log()["codes_redeemed"] == 0
    assert browser.get(callback).status_code == (303 if "state" in changes else 400)


def test_callback_in_another_browser_is_refused(app: RunningApp) -> None:
    """Without the flow's cookie, the state alone is worth nothing: another person's link signs nobody in."""
    callback = app.browser().to_callback(ADA)
    stranger = app.browser()
    assert stranger.get(callback).status_code == 400
    assert stranger.get("/me").status_code == 401
    assert app.accounts() == []


def test_callback_after_ten_minutes_is_refused(app: RunningApp) -> None:
    """A flow's cookie is good for ten minutes."""
    browser = app.browser()
    callback = browser.to_callback(ADA)
    app.clock.move(minutes=10)
    assert browser.get(callback).status_code == 400
    assert app.accounts() == []


def test_declined_consent_is_a_clear_page(app: RunningApp) -> None:
    """error=access_denied: what happened, in words; nothing stored."""
    browser = app.browser()
    answer = browser.get(browser.to_callback(ADA, accept=False))
    assert answer.status_code == 400
    assert "declined" in text_of(answer)
    assert app.accounts() == []


def test_code_used_twice_is_refused_and_the_first_sign_in_stands(app: RunningApp) -> None:
    """The flow's cookie is gone after the first use; even with it put back, the flow is over."""
    browser = app.browser()
    callback = browser.to_callback(ADA)
    cookies = browser.http.cookies.copy()
    assert browser.get(callback).status_code == 303
    assert browser.get(callback).headers["Location"] == "/"
    replay = app.browser()
    replay.http.cookies = cookies
    answer = replay.get(callback)
    assert answer.status_code == 400
    assert "unknown_flow" in text_of(answer)
    assert browser.get("/me").status_code == 200
    assert len(app.accounts()) == 1


@pytest.mark.parametrize("value", ["", "x", "AAAA", "AQJrMbWPXefSjD9BIofn8H4OhsilRnCWfQ", "é", "a" * 5000])
def test_forged_session_is_nobody(app: RunningApp, value: str) -> None:
    """401 with a way to sign in, never a server error."""
    answer = app.browser().get("/me", Cookie=f"understudy={value}".encode().decode("latin-1"))
    assert answer.status_code == 401
    assert "/signin" in answer.text


def test_session_with_one_changed_character_is_nobody(app: RunningApp) -> None:
    """The cookie is sealed: after any change it does not open."""
    browser = app.browser()
    browser.sign_in(ADA)
    value = browser.http.cookies["understudy"]
    middle = len(value) // 2
    changed = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    assert app.browser().get("/me", Cookie=f"understudy={changed}").status_code == 401
    assert browser.get("/me").status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "/%2F/evil",
        "/a//b",
        "javascript:x",
        "me",
    ],
)
def test_redirect_to_another_host_is_refused(app: RunningApp, target: str) -> None:
    """A link to the app never redirects to another site."""
    answer = app.browser().get(f"/signin?{urlencode({'next': target})}")
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_programs_get_problem_json(app: RunningApp) -> None:
    """RFC 9457, with a code for machines and a reference for people."""
    answer = app.browser().get("/me", Accept="application/json")
    assert answer.status_code == 401
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (401, "not_signed_in")
    assert problem["title"]
    assert problem["detail"]
    assert problem["reference"]


def test_missing_settings_are_named_all_at_once(start_app: Callable[..., RunningApp]) -> None:
    """The page lists what is missing and how to set it, and the timer fails with the same list."""
    app = start_app(CLIENT_ID="", ENCRYPTION_KEYS="", SCOPES="openid profile")
    answer = app.browser().get("/signin")
    assert answer.status_code == 500
    for name in ("CLIENT_ID", "ENCRYPTION_KEYS", "SCOPES"):
        assert name in answer.text
    outcome = app.host.fire("sweep")
    assert not outcome.succeeded
    assert "CLIENT_ID" in str(outcome.error)


def test_sign_out_from_another_site_is_refused(app: RunningApp) -> None:
    """POST with a foreign Origin, or none: the person stays signed in, the row stays."""
    browser = app.browser()
    browser.sign_in(ADA)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}):
        assert browser.post("/signout", None, **headers).status_code == 403
    assert browser.get("/me").status_code == 200
    assert len(app.accounts()) == 1


def test_person_of_a_tenant_that_is_not_allowed_is_refused(start_app: Callable[..., RunningApp]) -> None:
    """ALLOWED_TENANTS: checked by the id token's tid; nothing is stored."""
    app = start_app(ALLOWED_TENANTS="00000000-0000-0000-0000-000000000000")
    answer = app.browser().sign_in(ADA)
    assert answer.status_code == 403
    assert app.accounts() == []
