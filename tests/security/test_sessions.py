"""Browser sessions: what a copied, old, forged or borrowed cookie can do."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from localdev.browser import Browser
from localdev.tenant.visitor import Visitor
from shared.accounts import Account, Person
from shared.services import Services
from shared.session import Sessions, parse_cookies
from tests.failing_store import failing_store
from tests.running_app import Clock, RunningApp
from tests.security.raw_http import Answer, cookie_header, send

ADA, BEN = "ada@contoso.example", "ben@contoso.example"
SESSION = "understudy"
FORMS = [{}, {"keep": "background-work"}]


def me(app: RunningApp, session: str) -> Answer:
    """/me with this session cookie and no other."""
    return send(app.url, "GET", "/me", [cookie_header({SESSION: session})])


def session_in(browser: Browser) -> str:
    """The browser's session cookie."""
    return str(browser.http.cookies.get(SESSION))


def set_cookies(app: RunningApp, username: str = ADA) -> dict[str, list[str]]:
    """Attributes of every cookie that a sign-in sets, as the host writes them, by name without the flow's number."""
    browser = app.browser()
    begun = send(app.url, "GET", "/signin")
    flow = begun.cookies()
    browser.http.cookies.update(flow)
    ended = send(app.url, "GET", _callback(browser, begun.one("location"), username), [cookie_header(flow)])
    assert ended.status == 303
    written = [*begun.all("set-cookie"), *(text for text in ended.all("set-cookie") if "=;" not in text)]
    return {text.partition("=")[0].partition("-flow")[0]: text.split("; ")[1:] for text in written}


def _callback(browser: Browser, authorize_url: str, username: str) -> str:
    return "/" + Visitor(browser.http).sign_in(authorize_url, username).split("/", 3)[3]


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(app: RunningApp) -> None:
    """HttpOnly and SameSite=Lax, and an end: as the Functions host writes them."""
    for attributes in set_cookies(app).values():
        assert {"httponly", "samesite=lax"} <= set(attributes)
        assert any(each.startswith("max-age=") for each in attributes)


def test_cookies_over_https_are_secure_and_say_so_in_their_name(start_app: Callable[..., RunningApp]) -> None:
    """Browsers refuse a `__Secure-` cookie that comes over http."""
    app = start_app(BASE_URL="https://understudy.example")
    (cookie,) = send(app.url, "GET", "/signin").all("set-cookie")
    assert cookie.startswith("__Secure-understudy-flow-")
    assert "secure" in cookie.split("; ")


def test_the_flow_cookie_goes_to_the_sign_in_only(app: RunningApp) -> None:
    """No other path of this host sees it."""
    (cookie,) = send(app.url, "GET", "/signin").all("set-cookie")
    assert "path=/signin" in cookie.split("; ")


def test_a_cookie_never_holds_a_token(app: RunningApp) -> None:
    """This holds also for the opened content."""
    browser = app.browser()
    browser.sign_in(ADA)
    opened = app.services.settings.key_ring.open_text(session_in(browser), purpose="session/1")
    assert not [secret for secret in app.tenant.issued_secrets() if secret in opened]


def test_every_sign_in_makes_a_new_session(app: RunningApp) -> None:
    """A session planted before is replaced (no fixation), and it still belongs to its own person."""
    browser = app.browser()
    browser.sign_in(BEN)
    planted = session_in(browser)
    browser.sign_in(ADA, "/signin?prompt=login")
    assert session_in(browser) != planted
    assert "Ada" in browser.get("/me").text
    assert "Ben" in me(app, planted).text


def test_session_ends_when_idle(app: RunningApp) -> None:
    """It ends after one hour without a request."""
    browser = app.browser()
    browser.sign_in(ADA)
    app.clock.move(minutes=59)
    assert me(app, session_in(browser)).status == 200
    app.clock.move(minutes=2)
    assert me(app, session_in(browser)).status == 401


def test_session_in_use_ends_after_its_longest_time(app: RunningApp) -> None:
    """It ends after twelve hours, however busy it was."""
    browser = app.browser()
    browser.sign_in(ADA)
    for _ in range(14):
        app.clock.move(minutes=50)
        assert browser.get("/me").status_code == 200
    app.clock.move(minutes=21)
    assert me(app, session_in(browser)).status == 401


@pytest.mark.parametrize("form", FORMS)
def test_either_sign_out_ends_every_copy_of_every_session(app: RunningApp, form: dict[str, str]) -> None:
    """This includes sessions in other browsers and cookies copied before."""
    first, second = app.browser(), app.browser()
    first.sign_in(ADA)
    second.sign_in(ADA)
    copies = [session_in(first), session_in(second)]
    assert [me(app, each).status for each in copies] == [200, 200]
    first.post("/signout", form)
    assert [me(app, each).status for each in copies] == [401, 401]


@pytest.mark.parametrize("form", FORMS)
def test_copy_of_an_ended_session_signs_nobody_out(app: RunningApp, form: dict[str, str]) -> None:
    """It neither deletes the row nor ends the sessions that began since."""
    browser = app.browser()
    browser.sign_in(ADA)
    copy = app.browser()
    copy.http.cookies.set(SESSION, session_in(browser), domain="localhost.local", path="/")
    browser.post("/signout", {"keep": "background-work"})
    browser.sign_in(ADA)
    assert copy.post("/signout", form).status_code == 303
    assert len(app.accounts()) == 1
    assert browser.get("/me").status_code == 200


def test_old_session_stays_dead_after_the_next_sign_in(app: RunningApp) -> None:
    """The row that was deleted and made again has another SessionGeneration."""
    browser = app.browser()
    browser.sign_in(ADA)
    copy = session_in(browser)
    browser.post("/signout")
    browser.sign_in(ADA)
    assert me(app, copy).status == 401
    assert browser.get("/me").status_code == 200


def test_two_tabs_that_sign_out_at_once_both_succeed(app: RunningApp) -> None:
    """The second request finds no account, and still signs out."""
    browser = app.browser()
    browser.sign_in(ADA)
    copy = [cookie_header({SESSION: session_in(browser)}), ("Origin", app.url)]
    assert [send(app.url, "POST", "/signout", copy).status for _ in range(2)] == [303, 303]


def test_signing_out_costs_others_nothing(app: RunningApp) -> None:
    """Ben stays signed in when Ada leaves."""
    ada, ben = app.browser(), app.browser()
    ada.sign_in(ADA)
    ben.sign_in(BEN)
    ada.post("/signout")
    assert ben.get("/me").status_code == 200


def test_flow_cookie_is_no_session(app: RunningApp) -> None:
    """Both are sealed with the same ring, for different purposes."""
    (flow,) = send(app.url, "GET", "/signin").cookies().values()
    assert me(app, flow).status == 401


def test_cookie_of_another_edition_is_no_session(app: RunningApp) -> None:
    """After an update that changed what cookies hold, people sign in again; nothing fails."""
    ring = app.services.settings.key_ring
    for purpose in ("session", "session/0", "session/2"):
        assert me(app, ring.seal_text(json.dumps({"anything": 1}), purpose=purpose)).status == 401


def test_session_of_somebody_whose_tenant_was_taken_off_the_list_ends(start_app: Callable[..., RunningApp]) -> None:
    """It ends at their next request."""
    browser = start_app().browser()
    browser.sign_in(ADA)
    app = start_app(ALLOWED_TENANTS="00000000-0000-0000-0000-000000000001")
    assert me(app, session_in(browser)).status == 401


def test_cookie_that_comes_twice_with_two_values_counts_for_nothing(app: RunningApp) -> None:
    """Another host of the same domain can set a cookie of this name. Nobody gets into that host's session."""
    mine, planted = app.browser(), app.browser()
    mine.sign_in(ADA)
    planted.sign_in(BEN)
    header = f"{SESSION}={session_in(planted)}; {SESSION}={session_in(mine)}"
    assert send(app.url, "GET", "/me", [("Cookie", header)]).status == 401


def test_same_cookie_twice_is_one_cookie() -> None:
    """Some browsers send one for each path."""
    assert parse_cookies("a=1; b=2; a=1") == {"a": "1", "b": "2"}


def test_oversized_twin_of_a_cookie_counts_for_nothing(app: RunningApp) -> None:
    """Browsers keep no cookie of more than 4096 bytes; one that comes all the same ends nobody's session."""
    browser = app.browser()
    browser.sign_in(ADA)
    header = f"{SESSION}={'A' * 4097}; {SESSION}={session_in(browser)}"
    assert send(app.url, "GET", "/me", [("Cookie", header)]).status == 200


def fields_of(page: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


@pytest.mark.parametrize("broken", ["get", "delete save"])
@pytest.mark.parametrize("form", FORMS)
def test_sign_out_while_the_storage_fails_ends_the_session_here_and_says_what_did_not_happen(
    app: RunningApp, form: dict[str, str], broken: str
) -> None:
    """503, the cookie is deleted, and the page's button finishes it when the storage is back."""
    browser, other = app.browser(), app.browser()
    browser.sign_in(ADA)
    other.sign_in(ADA)
    storage = app.services.store
    app.services.store = failing_store(storage, broken.split())
    fields = form
    for _ in range(2):
        answer = browser.post("/signout", fields)
        page, fields = answer.text, fields_of(answer.text)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert ("the work in your name goes on" in page) == (not form)
        assert "In other browsers you may still be signed in" in page
        assert browser.http.cookies.get(SESSION) is None
    app.services.store = storage
    assert len(app.accounts()) == 1
    assert other.get("/me").status_code == 200
    assert browser.post("/signout", fields).headers["Location"] == "/"
    assert len(app.accounts()) == len(form)
    assert other.get("/me").status_code == 401


def test_programs_are_told_that_a_sign_out_is_not_finished(app: RunningApp) -> None:
    """A JSON document with the same words, and the cookie's end."""
    browser = app.browser()
    browser.sign_in(ADA)
    app.services.store = failing_store(app.services.store, ["delete"])
    answer = browser.post("/signout", Accept="application/json")
    assert answer.status_code == 503
    assert answer.json()["code"] == "storage"
    assert "Deleting your stored data failed" in answer.json()["detail"]
    assert browser.http.cookies.get(SESSION) is None


def unfinished(app: RunningApp, browser: Browser) -> dict[str, str]:
    """The form of a sign-out that the storage didn't let through."""
    browser.sign_in(ADA)
    storage = app.services.store
    app.services.store = failing_store(storage, ["delete"])
    page = browser.post("/signout").text
    app.services.store = storage
    return fields_of(page)


def test_unfinished_sign_out_is_that_persons_and_nobody_elses(app: RunningApp) -> None:
    """Ben has signed in since. Ada's old page ends Ada's stored data, and not Ben's session."""
    browser = app.browser()
    form = unfinished(app, browser)
    browser.sign_in(BEN)
    assert browser.post("/signout", form).status_code == 303
    assert [account.username for account in app.accounts()] == [BEN]
    assert "Ben" in browser.get("/me").text


def test_unfinished_sign_out_is_no_session_and_a_session_is_none(app: RunningApp) -> None:
    """What the page holds opens nothing, and a cookie's value in its place ends nobody's session."""
    browser = app.browser()
    form = unfinished(app, browser)
    assert me(app, form["unfinished"]).status == 401
    browser.sign_in(ADA)
    for forged in (session_in(browser), "x", "\x01"):
        answer = browser.post("/signout", {"unfinished": forged}, Accept="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "sign_out_expired")
    assert browser.get("/me").status_code == 200


def test_unfinished_sign_out_of_an_old_page_says_that_it_does_nothing(app: RunningApp) -> None:
    """It ends when the session would have ended. A redirect would look as if the data was deleted."""
    browser = app.browser()
    form = unfinished(app, browser)
    app.clock.move(minutes=61)
    answer = browser.post("/signout", form)
    assert answer.status_code == 400
    assert "Sign in, and sign out again." in answer.text
    assert len(app.accounts()) == 1


def test_demotion_takes_effect_at_the_next_sign_in(app: RunningApp) -> None:
    """Roles are those of the id token of this session's sign-in."""
    app.tenant.change_person(ADA, roles=["Understudy.Operator"])
    browser = app.browser()
    browser.sign_in(ADA)
    held = app.services.sessions.read({SESSION: session_in(browser)})
    assert held is not None
    assert held.roles == ("Understudy.Operator",)
    app.tenant.change_person(ADA, roles=[])
    browser.sign_in(ADA)
    held = app.services.sessions.read({SESSION: session_in(browser)})
    assert held is not None
    assert held.roles == ()


@pytest.fixture
def sessions(make_services: Callable[..., Services]) -> Sessions:
    """Cookies of an app with operators."""
    return make_services(clock=Clock(), ADMIN_ROLE="Operator").sessions


def account() -> Account:
    """Somebody with a SessionGeneration."""
    return Account(account_id="o" * 255, session_generation="g" * 16)


def test_largest_session_fits_into_a_cookie(sessions: Sessions) -> None:
    """A long name in a wide script and many roles: browsers drop cookies of more than 4096 bytes without a word."""
    person = Person("o" * 255, "ada", name="\N{PILE OF POO}" * 500, roles=tuple("r" * 119 + str(n) for n in range(30)))
    cookie = sessions.start(person, account())
    assert len(cookie.header()) < 4096
    assert sessions.read({cookie.name: cookie.value}) is not None


def test_operators_role_is_kept_among_many(sessions: Sessions) -> None:
    """It is kept whatever other roles the directory gives."""
    person = Person("x", "ada", roles=(*("r" * 119 + str(n) for n in range(30)), "Operator"))
    cookie = sessions.start(person, account())
    session = sessions.read({cookie.name: cookie.value})
    assert session is not None
    assert "Operator" in session.roles


def test_odd_name_signs_in_all_the_same(sessions: Sessions) -> None:
    """Half a surrogate pair is valid JSON, and the sign-in works."""
    cookie = sessions.start(Person("x", "ada", name="\ud800"), replace(account(), account_id="x"))
    assert sessions.read({cookie.name: cookie.value}) is not None


def test_session_is_renewed_now_and_then_only(make_services: Callable[..., Services]) -> None:
    """A new cookie after a twelfth of the idle time; it never outlives the absolute one."""
    clock = Clock()
    sessions = make_services(clock=clock).sessions
    cookie = sessions.start(Person("x", "ada"), account())
    session = sessions.read({cookie.name: cookie.value})
    assert session is not None
    assert sessions.renew(session) == []
    clock.move(minutes=6)
    (renewed,) = sessions.renew(session)
    assert renewed is not None
    assert renewed.max_age <= timedelta(hours=12).total_seconds() - 360


def test_part_of_a_cookie_header_without_an_equals_sign_is_no_cookie() -> None:
    """It can't make a real cookie of that name a disputed one."""
    assert parse_cookies("understudy; understudy=x") == {"understudy": "x"}


def test_quotes_around_a_cookie_are_not_part_of_it() -> None:
    """RFC 6265, 4.1.1 allows them."""
    assert parse_cookies('a="x"; b=y') == {"a": "x", "b": "y"}
