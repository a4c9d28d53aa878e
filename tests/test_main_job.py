"""The main job, end to end on real parts: sign in, leave, be acted for, be set aside, come back."""

from collections.abc import Callable

from shared.accounts import State
from tests.running_app import RunningApp, text_of


def test_person_signs_in_and_sees_their_profile(app: RunningApp) -> None:
    """Sign-in ends on the requested page. /me shows the Graph profile, as a page and as JSON."""
    browser = app.browser()
    answer = browser.sign_in("chiara@contoso.example", "/signin?next=/me")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/me")
    page = browser.get("/me")
    assert page.status_code == 200
    assert "Chiara Rossi" in text_of(page)
    assert "Designer" in text_of(page)
    document = browser.get("/me", Accept="application/json")
    assert document.json()["mail"] == "chiara@contoso.example"


def test_absent_person_is_swept_and_their_task_runs(app: RunningApp) -> None:
    """A person who is present is left alone. A person who left gets a fresh token, and the task's state is stored."""
    app.browser().sign_in("ben@contoso.example")
    assert app.counts() == {}
    account = app.account_of("ben@contoso.example")
    assert account is not None
    assert account.last_swept_at is None
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}
    account = app.account_of("ben@contoso.example")
    assert account is not None
    assert account.state is State.ACTIVE
    assert account.due_at > app.clock()
    assert account.task_state["profile_changes"]["changed_at"]
    assert app.tenant.log()["refresh_tokens_redeemed"] == 1


def test_revoked_person_is_set_aside_until_they_come_back(app: RunningApp) -> None:
    """One refusal is recorded and the tenant is not asked again. The next sign-in makes the person active, and sweeps
    resume."""
    app.browser().sign_in("deniz@contoso.example")
    app.tenant.change_person("deniz@contoso.example", state="revoked")
    app.clock.move(minutes=6)
    assert app.counts() == {"sign_in_required": 1}
    account = app.account_of("deniz@contoso.example")
    assert account is not None
    assert account.state is State.NEEDS_SIGN_IN
    assert account.failure is not None
    assert account.failure.code == "50173"
    app.clock.move(hours=3)
    app.sweep()
    assert app.tenant.log()["refused"] == 1
    app.browser().sign_in("deniz@contoso.example")
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}
    account = app.account_of("deniz@contoso.example")
    assert account is not None
    assert (account.state, account.failure) == (State.ACTIVE, None)


def test_sign_out_deletes_the_row_and_a_sweep_finds_nobody(app: RunningApp) -> None:
    """Nothing more is done in their name."""
    browser = app.browser()
    browser.sign_in("emi@contoso.example")
    assert browser.post("/signout").status_code == 303
    assert app.accounts() == []
    app.clock.move(hours=2)
    assert app.counts() == {}
    assert browser.get("/me").status_code == 401


def test_sign_out_that_keeps_background_work_ends_sessions_only(app: RunningApp) -> None:
    """Both browsers are signed out, and the sweep continues."""
    first, second = app.browser(), app.browser()
    first.sign_in("emi@contoso.example")
    second.sign_in("emi@contoso.example")
    assert first.get("/me").status_code == 200
    second.post("/signout", {"keep": "background-work"})
    assert first.get("/me").status_code == 401
    assert second.get("/me").status_code == 401
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}


def test_two_sign_ins_of_one_person_are_one_row_and_both_sessions_live(app: RunningApp) -> None:
    """A second browser's sign-in ends no session."""
    first, second = app.browser(), app.browser()
    first.sign_in("ada@contoso.example")
    second.sign_in("ada@contoso.example")
    assert len(app.accounts()) == 1
    assert first.get("/me").status_code == second.get("/me").status_code == 200


def test_guest_signs_in_is_swept_and_has_one_row(app: RunningApp) -> None:
    """The key is the id token's oid and tid, not MSAL's home account."""
    app.browser().sign_in("greta@fabrikam.example")
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}
    (account,) = app.accounts()
    assert account.tenant_id == app.tenant.tenant_id
    assert account.account_id == f"{account.object_id}.{account.tenant_id}"
    assert account.home_account_id.split(".")[1] != account.tenant_id


def test_present_person_is_left_alone(app: RunningApp) -> None:
    """A request moves their turn: it writes LastActivity and DueAt."""
    browser = app.browser()
    browser.sign_in("ada@contoso.example")
    app.clock.move(minutes=6)
    assert browser.get("/me").status_code == 200
    assert app.counts() == {}
    account = app.account_of("ada@contoso.example")
    assert account is not None
    assert account.last_swept_at is None


def test_two_people_never_share_a_cache(app: RunningApp) -> None:
    """Each row's blob opens for its owner only and has one account."""
    for username in ("ada@contoso.example", "ben@contoso.example"):
        app.browser().sign_in(username)
    keys = app.services.settings.key_ring
    caches = {each.username: keys.open_cache(each.sealed_cache, each.account_id) for each in app.accounts()}
    assert "ben@contoso.example" not in caches["ada@contoso.example"]
    assert "ada@contoso.example" not in caches["ben@contoso.example"]


def test_the_app_restarts_and_people_stay_signed_in(start_app: Callable[..., RunningApp]) -> None:
    """Sessions are in cookies, everything else is in the table."""
    browser = start_app().browser()
    browser.sign_in("ada@contoso.example")
    start_app()
    assert browser.get("/me").status_code == 200
