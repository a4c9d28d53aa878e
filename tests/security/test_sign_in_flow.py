"""From /signin to the callback: what an attacker can add, replay, borrow or leave out."""

import threading
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from localdev.browser import Browser
from localdev.tenant.visitor import Visitor
from shared.errors import BadRequest, SignInFailed
from shared.services import Services
from shared.session import FLOW_LIFETIME, UsedFlows
from signin.sign_in import local_path, take_flow
from tests.running_app import Clock, RunningApp
from tests.security.raw_http import Answer, cookie_header, send
from tests.security.storage import etags
from tests.support import wait_until

ADA, BEN = "ada@contoso.example", "ben@contoso.example"
FOREIGN_PAGES = [
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "https://evil.example",
    "https:evil.example",
    "HTTPS://evil.example",
    "evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/%2Fevil.example",
    "/%5Cevil.example",
    "%2F%2Fevil.example",
    "/%252Fevil.example",
    "///evil.example",
    "/.//evil.example",
    "/a/..//evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\nSet-Cookie: a=b",
    "/\0evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\u2044evil.example",
    "/\uff0fevil.example",
    "/@evil.example",
    "/;@evil.example",
    "?next=//evil.example",
    "#//evil.example",
    "/#//evil.example",
    "/<script>",
    "/me\n",
    "/" + "a" * 300,
]


def sent_to(url: str) -> dict[str, list[str]]:
    """The query of a URL."""
    return parse_qs(urlsplit(url).query)


def path_of(url: str) -> str:
    """Path and query."""
    return "/" + url.split("/", 3)[3]


def flows_of(browser: Browser) -> dict[str, str]:
    """The browser's flow cookies."""
    return {cookie.name: str(cookie.value) for cookie in browser.http.cookies if "-flow-" in cookie.name}


def refused_code(app: RunningApp, browser: Browser, url: str) -> str:
    """Visits a callback's URL that must be refused, and returns the refusal's code."""
    answer = browser.get(url, Accept="application/json")
    assert answer.status_code in (400, 403, 413), answer.text
    assert app.accounts() == []
    return str(answer.json()["code"])


@pytest.mark.parametrize("page", FOREIGN_PAGES)
def test_nobody_is_sent_to_another_site(page: str) -> None:
    """`next` must be a path of this app; otherwise the sign-in does not begin."""
    with pytest.raises(BadRequest):
        local_path(page)


@pytest.mark.parametrize("page", ["/", "/me", "/accounts?state=needs_sign_in&page=2", "/me/photo"])
def test_pages_of_this_app_may_follow_a_sign_in(page: str) -> None:
    """They are accepted unchanged."""
    assert local_path(page) == page


@pytest.mark.parametrize("page", FOREIGN_PAGES)
def test_foreign_page_is_refused_over_http_however_it_is_encoded(app: RunningApp, page: str) -> None:
    """The app decodes once, sets no cookie and redirects nowhere."""
    for encoded in (quote(page, safe=""), quote(quote(page, safe=""), safe="")):
        answer = send(app.url, "GET", f"/signin?next={encoded}")
        assert answer.status == 400
        assert not answer.all("location")
        assert not answer.all("set-cookie")


def test_authorization_request_is_bound_to_this_browser(app: RunningApp) -> None:
    """State, nonce and PKCE with S256, each new every time, none of them in the clear in the cookie."""
    answers = [send(app.url, "GET", "/signin") for _ in range(2)]
    first, second = (sent_to(answer.one("location")) for answer in answers)
    assert first["code_challenge_method"] == ["S256"]
    assert first["response_type"] == ["code"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 16
        assert first[name] != second[name]
        assert first[name][0] not in answers[0].one("set-cookie")


def test_wrong_code_verifier_is_refused_by_the_tenant(app: RunningApp) -> None:
    """A stolen code is useless without the browser that asked for it."""
    parts = app.services
    url, flow = parts.identity.begin_sign_in()
    back = sent_to(Visitor().sign_in(url, ADA))
    answer = {name: values[0] for name, values in back.items()}
    with pytest.raises(SignInFailed):
        parts.identity.finish_sign_in(flow | {"code_verifier": "A" * 43}, answer)


def test_id_token_with_another_nonce_is_refused(app: RunningApp) -> None:
    """An id token of another sign-in is refused."""
    parts = app.services
    url, flow = parts.identity.begin_sign_in()
    back = sent_to(Visitor().sign_in(url, ADA))
    answer = {name: values[0] for name, values in back.items()}
    with pytest.raises(SignInFailed) as error:
        parts.identity.finish_sign_in(flow | {"nonce": "another"}, answer)
    assert error.value.code == "mismatch"


def test_two_tabs_sign_in_at_once(app: RunningApp) -> None:
    """Each tab has its own flow cookie, and the first to return does not affect the other."""
    browser = app.browser()
    first, second = (browser.to_callback(ADA, f"/signin?next={page}") for page in ("/me", "/"))
    assert browser.get(second).headers["Location"] == "/"
    assert browser.get(first).headers["Location"] == "/me"


def test_five_tabs_at_most_are_remembered(app: RunningApp) -> None:
    """The oldest is dropped, so that cookies don't pile up."""
    browser = app.browser()
    urls = []
    for _ in range(7):
        urls.append(browser.to_callback(ADA))
        app.clock.move(seconds=1)
    assert len(flows_of(browser)) == 5
    assert refused_code(app, browser, urls[0]) == "unknown_flow"
    assert browser.get(urls[-1]).status_code == 303


def test_borrowed_callback_signs_nobody_in(app: RunningApp) -> None:
    """The attacker's own callback URL, opened in somebody else's browser (login CSRF)."""
    url = app.browser().to_callback(BEN)
    assert refused_code(app, app.browser(), url) == "unknown_flow"


def test_callback_works_once(app: RunningApp) -> None:
    """A copy of the flow's cookie signs nobody in and costs no code request."""
    browser = app.browser()
    url = browser.to_callback(ADA)
    copy = flows_of(browser)
    assert browser.get(url).status_code == 303
    before = etags(app.services.tables)
    replayed = send(app.url, "GET", path_of(url), [cookie_header(copy)])
    assert replayed.status == 400
    assert "unknown_flow" in replayed.text
    assert replayed.cookies().get("understudy", "") == ""
    assert etags(app.services.tables) == before
    assert app.tenant.log()["token_requests"] == 1


def test_copied_flow_signs_in_no_second_person(app: RunningApp) -> None:
    """Its address at the tenant gives Ben a code of his own; the flow is over all the same."""
    browser = app.browser()
    to_tenant = browser.get("/signin").headers["Location"]
    copy = flows_of(browser)
    assert browser.get(Visitor().sign_in(to_tenant, ADA)).status_code == 303
    second = send(app.url, "GET", path_of(Visitor().sign_in(to_tenant, BEN)), [cookie_header(copy)])
    assert second.status == 400
    assert [account.username for account in app.accounts()] == [ADA]


@pytest.mark.parametrize("change", ["error=access_denied", "code=forged", f"code=x&more={'x' * 5000}", ""])
def test_flow_that_failed_is_over(app: RunningApp, change: str) -> None:
    """The error's answer deletes the cookie, and a copy of it is refused, with a good code too."""
    browser = app.browser()
    url = browser.to_callback(ADA)
    copy = flows_of(browser)
    state = sent_to(url)["state"][0]
    failed = send(app.url, "GET", f"/signin/callback?state={state}&{change}", [cookie_header(copy)])
    assert failed.status == 400
    assert failed.cookies() == dict.fromkeys(copy, "")
    asked = app.tenant.log()["token_requests"]
    again = send(app.url, "GET", path_of(url), [cookie_header(copy)])
    assert (again.status, "unknown_flow" in again.text) == (400, True)
    assert app.tenant.log()["token_requests"] == asked
    assert app.accounts() == []


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_flow_that_failed_loses_its_cookie_on_pages_and_in_documents(app: RunningApp, accept: str) -> None:
    """Both kinds of error answer carry the cookie's end. The cookie of another tab stays."""
    browser = app.browser()
    urls = [browser.to_callback(ADA) for _ in range(2)]
    browser.get(f"/signin/callback?state={sent_to(urls[0])['state'][0]}&error=access_denied", Accept=accept)
    assert list(flows_of(browser)) == [app.services.sessions.drop_flow(sent_to(urls[1])["state"][0]).name]


def test_flow_that_succeeded_loses_its_cookie(app: RunningApp) -> None:
    """The browser has no flow left, so that its next sign-ins don't send old ones along."""
    browser = app.browser()
    browser.sign_in(ADA)
    assert flows_of(browser) == {}


def test_one_flow_is_one_code_request(app: RunningApp) -> None:
    """Bogus codes don't reach the token endpoint one after the other with one flow's cookie."""
    browser = app.browser()
    state = sent_to(browser.to_callback(ADA))["state"][0]
    cookie = cookie_header(flows_of(browser))
    for number in range(20):
        answer = send(app.url, "GET", f"/signin/callback?state={state}&code=bogus-{number}", [cookie])
        assert answer.status == 400
    assert app.tenant.log()["token_requests"] == 1


def test_second_arrival_while_the_first_is_under_way_is_refused_at_once(app: RunningApp) -> None:
    """It doesn't wait for the tenant, and causes no second code request."""
    browser = app.browser()
    target, cookie = path_of(browser.to_callback(ADA)), cookie_header(flows_of(browser))
    app.tenant.add_fault("token", "hang")
    answers: list[Answer] = []
    first = threading.Thread(target=lambda: answers.append(send(app.url, "GET", target, [cookie])))
    first.start()
    try:
        wait_until(lambda: app.tenant.log()["token_requests"] == 1, "the first arrival has asked the tenant")
        second = send(app.url, "GET", target, [cookie])
        assert (second.status, "unknown_flow" in second.text) == (400, True)
        assert answers == []
        assert app.tenant.log()["token_requests"] == 1
    finally:
        app.tenant.clear_faults()
        first.join()


def test_second_arrival_of_somebody_who_is_signed_in_leads_home(app: RunningApp) -> None:
    """They pressed back, or reload. Their session stays, also when the cookie came along again."""
    browser = app.browser()
    url = browser.to_callback(ADA, "/signin?next=/me")
    copy = flows_of(browser)
    browser.get(url)
    assert (browser.get(url).status_code, browser.get(url).headers["Location"]) == (303, "/")
    session = {"understudy": str(browser.http.cookies.get("understudy"))}
    again = send(app.url, "GET", path_of(url), [cookie_header(copy | session)])
    assert (again.status, again.one("location")) == (303, "/")
    assert again.cookies() == dict.fromkeys(copy, "")
    assert browser.get("/me").status_code == 200


def test_second_arrival_after_the_session_ended_is_a_page(app: RunningApp) -> None:
    """A sealed session whose account is gone is nobody's."""
    browser = app.browser()
    url = browser.to_callback(ADA)
    browser.get(url)
    session = cookie_header({"understudy": str(browser.http.cookies.get("understudy"))})
    browser.post("/signout")
    answer = send(app.url, "GET", path_of(url), [session, ("Accept", "text/html")])
    assert answer.status == 400
    assert "This sign-in can" in answer.text


def test_strangers_push_no_flow_out_of_memory() -> None:
    """There is no bound to exhaust: after many others came back, the first is refused still."""
    used, now = UsedFlows(), Clock()()
    assert used.use("first", now=now)
    assert all(used.use(f"stranger {number}", now=now) for number in range(20_000))
    assert not used.use("first", now=now)


def test_used_flows_are_forgotten_when_their_cookies_have_ended() -> None:
    """Memory holds ten minutes of flows, not all of them."""
    used, now = UsedFlows(), Clock()()
    for number in range(100):
        used.use(str(number), now=now + timedelta(seconds=number))
    assert len(used) == 100
    used.use("later", now=now + FLOW_LIFETIME + timedelta(seconds=49))
    assert len(used) == 51
    assert not used.use("99", now=now + FLOW_LIFETIME + timedelta(seconds=98))


def test_another_instance_may_accept_a_copy_once(make_services: Callable[..., Services]) -> None:
    """The memory is the process's own: docs/security.md says so, under "Not defended"."""
    app = make_services()
    url, flow = app.identity.begin_sign_in()
    state = sent_to(url)["state"][0]
    (cookie,) = app.sessions.keep_flow(flow, "/", {})
    other = Services(app.settings, used_flows=UsedFlows())

    def taken(instance: Services) -> bool:
        return take_flow({"state": state}, {cookie.name: cookie.value}, instance) is not None

    assert [taken(each) for each in (app, app, other, other)] == [True, False, True, False]


def test_flow_ends_after_ten_minutes(app: RunningApp) -> None:
    """It ends whatever the browser does with the cookie."""
    browser = app.browser()
    url = browser.to_callback(ADA)
    app.clock.move(minutes=10)
    assert refused_code(app, browser, url) == "unknown_flow"


def test_flow_of_another_state_is_refused(app: RunningApp) -> None:
    """The cookie's name is only a label: the state inside must be the one that came back."""
    browser = app.browser()
    first, second = browser.to_callback(ADA), browser.to_callback(ADA)
    sessions = app.services.sessions
    states = [sent_to(url)["state"][0] for url in (first, second)]
    cookies = {cookie.name: str(cookie.value) for cookie in browser.http.cookies}
    names = [sessions.drop_flow(state).name for state in states]
    assert sessions.read_flow(states[0], cookies) is not None
    assert sessions.read_flow(states[0], {names[0]: cookies[names[1]]}) is None


@pytest.mark.parametrize("change", ["code=x", "state=x", "code=", "state=", "iss=1&iss=2", "session_state=x"])
def test_repeated_parameter_is_refused(app: RunningApp, change: str) -> None:
    """An empty one counts too: proxies and frameworks disagree about which of two is meant."""
    browser = app.browser()
    url = browser.to_callback(ADA) + "&session_state=y"
    assert refused_code(app, browser, f"{url}&{change}") == "bad_request"


def test_oversized_parameter_is_refused(app: RunningApp) -> None:
    """No code is that long."""
    browser = app.browser()
    url = browser.to_callback(ADA)
    assert refused_code(app, browser, f"{url}&more={'x' * 5000}") == "oversized"
    assert refused_code(app, browser, f"{url}&more={'x' * 9000}") == "too_large"
    assert refused_code(app, browser, f"{url}&more={'x' * 20000}") == "too_large"


def test_answer_with_neither_code_nor_error_is_refused(app: RunningApp) -> None:
    """An empty code is refused too."""
    browser = app.browser()
    for code in ("", "&code="):
        state = sent_to(browser.to_callback(ADA))["state"][0]
        assert refused_code(app, browser, f"/signin/callback?state={state}{code}") == "empty_answer"


def test_tokens_in_the_callback_are_ignored(app: RunningApp) -> None:
    """The callback accepts no id token."""
    browser = app.browser()
    state = sent_to(browser.to_callback(ADA))["state"][0]
    brought = urlencode({"state": state, "id_token": "a.b.c", "access_token": "x", "error": "x"})
    assert refused_code(app, browser, f"/signin/callback?{brought}") == "x"


def test_what_an_error_answer_says_is_shown_as_text_only(app: RunningApp) -> None:
    """Its description is not shown at all; its code loses what could be markup."""
    browser = app.browser()
    state = sent_to(browser.to_callback(ADA))["state"][0]
    brought = urlencode({"state": state, "error": "<script>alert(1)</script>", "error_description": "<b>bold</b>"})
    page = browser.get(f"/signin/callback?{brought}")
    assert "<script" not in page.text
    assert "bold" not in page.text


def test_person_of_another_tenant_is_refused_and_nothing_is_stored(start_app: Callable[..., RunningApp]) -> None:
    """ALLOWED_TENANTS, by the id token's tid."""
    app = start_app(ALLOWED_TENANTS="00000000-0000-0000-0000-000000000001")
    browser = app.browser()
    url = browser.to_callback(ADA)
    before = etags(app.services.tables)
    assert refused_code(app, browser, url) == "tenant_not_allowed"
    assert before == {}
    assert app.tenant.log()["codes_redeemed"] == 1


def test_guest_is_known_by_this_tenants_ids(start_app: Callable[..., RunningApp]) -> None:
    """A guest's home tenant is not on the list; the tenant in which they are a guest is."""
    app = start_app()
    app = start_app(ALLOWED_TENANTS=app.tenant.tenant_id.upper())
    assert app.browser().sign_in("greta@fabrikam.example").status_code == 303
    (account,) = app.accounts()
    assert account.account_id == f"{account.object_id}.{app.tenant.tenant_id}"


@pytest.mark.parametrize(
    "name", ["Host", "X-Forwarded-Host", "X-Original-Host", "Forwarded", "X-Host", "X-Original-URL"]
)
def test_addresses_never_come_from_the_request(app: RunningApp, name: str) -> None:
    """The redirect URI is BASE_URL's, whatever a proxy or an attacker says the host is."""
    value = "host=evil.example" if name == "Forwarded" else "evil.example"
    answer = send(app.url, "GET", "/signin", [(name, value)])
    assert sent_to(answer.one("location"))["redirect_uri"] == [f"{app.url}/signin/callback"]
    assert "evil" not in str(answer.headers)


@pytest.mark.parametrize("host", ["[", "[::1", "a]b", "a:b:c", "@", "\u2100.example", "a b", "", "evil.example:99999"])
def test_broken_host_header_is_no_failure_of_ours(app: RunningApp, host: str) -> None:
    """Python's URL parser raises for some, and no page depends on it."""
    for target in ("/", "/signin?next=/me", "/signin/callback?state=x&code=y", "/me"):
        assert send(app.url, "GET", target, [("Host", host.encode().decode("latin-1"))]).status < 500


@pytest.mark.parametrize(
    "hint", ["a@b\r\nSet-Cookie: x=y", "a&redirect_uri=https://evil.example", "x" * 5000, "\0", "é"]
)
def test_login_hint_is_data_and_nothing_else(app: RunningApp, hint: str) -> None:
    """It adds no header and no parameter, and has a limited length."""
    answer = send(app.url, "GET", f"/signin?login_hint={quote(hint)}", [("Sec-Fetch-Site", "same-origin")])
    given = sent_to(answer.one("location"))
    assert given["redirect_uri"] == [f"{app.url}/signin/callback"]
    assert given.get("login_hint", [""]) == [hint[:200]]
    assert not any(name == "set-cookie" and value.startswith("x=") for name, value in answer.headers)


@pytest.mark.parametrize("prompt", ["none", "admin_consent", "login&scope=x", "LOGIN", "login login"])
def test_prompt_is_one_of_a_few_words(app: RunningApp, prompt: str) -> None:
    """Nothing else reaches the tenant."""
    assert send(app.url, "GET", f"/signin?prompt={quote(prompt)}").status == 400


FROM_ELSEWHERE = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "same-origin, cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Referer": "{url}/"},
    {"Referer": "https://evil.example/"},
    {"Referer": "{url}.evil.example/"},
    {"Referer": "{url}@evil.example/"},
    {"Referer": "https://evil.example/?{url}/"},
    {"Origin": "null", "Referer": "{url}/"},
    {"Origin": "https://evil.example", "Referer": "{url}/"},
]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
def test_link_from_elsewhere_asks_before_it_signs_anybody_in(app: RunningApp, headers: dict[str, str]) -> None:
    """Another site, a mail, a typed address: the tenant lets the person select their account. A hint would contradict
    that."""
    given = [(name, value.format(url=app.url)) for name, value in headers.items()]
    asked = sent_to(send(app.url, "GET", f"/signin?login_hint={ADA}", given).one("location"))
    assert asked["prompt"] == ["select_account"]
    assert "login_hint" not in asked


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Referer": "{url}/me"}, {"Origin": "{url}"}])
def test_our_own_button_asks_nothing_more(app: RunningApp, headers: dict[str, str]) -> None:
    """It stays one click for somebody whom the tenant knows. Browsers without Sec-Fetch-Site send a Referer."""
    given = [(name, value.format(url=app.url)) for name, value in headers.items()]
    asked = sent_to(send(app.url, "GET", f"/signin?login_hint={ADA}", given).one("location"))
    assert "prompt" not in asked
    assert asked["login_hint"] == [ADA]


@pytest.mark.parametrize("prompt", ["login", "consent"])
def test_link_that_asks_already_is_left_as_it_is(app: RunningApp, prompt: str) -> None:
    """A mail's link to somebody who must enter their password still names them."""
    asked = sent_to(send(app.url, "GET", f"/signin?login_hint={ADA}&prompt={prompt}").one("location"))
    assert (asked["prompt"], asked["login_hint"]) == ([prompt], [ADA])


def test_link_from_elsewhere_asks_for_a_login_at_a_plain_provider(start_app: Callable[..., RunningApp]) -> None:
    """Not every provider knows select_account or consent, and whoever wrote the link chose its prompt."""
    app = start_app()
    app = start_app(AUTHORITY="", OIDC_AUTHORITY=app.tenant.oidc_authority)
    for query in ("", "?prompt=select_account", "?prompt=consent", "?prompt=login"):
        assert sent_to(send(app.url, "GET", f"/signin{query}").one("location"))["prompt"] == ["login"]
    own = send(app.url, "GET", "/signin?prompt=consent", [("Sec-Fetch-Site", "same-origin")])
    assert sent_to(own.one("location"))["prompt"] == ["consent"]


def test_link_enrols_nobody_after_they_signed_out(app: RunningApp) -> None:
    """The tenant still knows them, and shows a page. Their own button goes through without one."""
    browser = app.browser()
    browser.sign_in(ADA)
    browser.post("/signout")
    linked = browser.get("/signin", **{"Sec-Fetch-Site": "cross-site"}).headers["Location"]
    assert browser.get(linked).status_code == 200
    assert app.accounts() == []
    own = browser.get("/signin", **{"Sec-Fetch-Site": "same-origin"}).headers["Location"]
    assert browser.get(browser.get(own).headers["Location"]).status_code == 303
    assert len(app.accounts()) == 1


def test_attempts_cost_no_storage_write(app: RunningApp) -> None:
    """Until the tenant has authenticated a person, sign-ins write nothing: begun, refused, forged or failed."""
    browser = app.browser()
    assert browser.get("/").status_code == 200
    state = sent_to(browser.to_callback(ADA))["state"][0]
    for target in (
        "/signin",
        "/signin?next=//evil.example",
        "/signin/callback",
        "/signin/callback?state=x&code=y",
        f"/signin/callback?state={state}&code=forged",
        f"/signin/callback?state={state}&error=access_denied",
        "/me",
        "/me/photo",
    ):
        browser.get(target)
    browser.post("/signout")
    assert etags(app.services.tables) == {}


@pytest.fixture
def parts(make_services: Callable[..., Services]) -> Services:
    """The app without a host."""
    return make_services()


def test_flow_cookies_of_other_names_are_left_alone(parts: Services) -> None:
    """A cookie that only looks like ours is not repeated in a Set-Cookie."""
    strange = {f"understudy-flow-{name}": "x" for name in ("", "zzz", "a" * 12 + "\x01", "0" * 11, "0" * 13, "A" * 12)}
    _, flow = parts.identity.begin_sign_in()
    assert len(parts.sessions.keep_flow(flow, "/", strange)) == 1


def test_oldest_flow_is_dropped_in_whatever_order_they_come(make_services: Callable[..., Services]) -> None:
    """The order of cookies says nothing about their age. One that doesn't open goes before all others."""
    clock = Clock()
    sessions = make_services(clock=clock).sessions
    kept = []
    for number in range(5):
        kept.append(sessions.keep_flow({"state": str(number)}, "/", {})[0])
        clock.move(seconds=1)
    newest_first = {cookie.name: cookie.value for cookie in reversed(kept)}
    _, *dropped = sessions.keep_flow({"state": "another"}, "/", newest_first)
    assert [cookie.name for cookie in dropped] == [kept[0].name]
    unreadable = sessions.drop_flow("unreadable").name
    _, *dropped = sessions.keep_flow({"state": "another"}, "/", newest_first | {unreadable: "x"})
    assert [cookie.name for cookie in dropped] == [unreadable, kept[0].name]


def test_a_flood_of_flow_cookies_is_not_answered_with_a_flood(parts: Services) -> None:
    """At most twenty are deleted at a time."""
    flood = {f"understudy-flow-{number:012x}": "x" for number in range(500)}
    _, flow = parts.identity.begin_sign_in()
    assert len(parts.sessions.keep_flow(flow, "/", flood)) == 21
