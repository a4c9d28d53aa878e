"""From /signin to the callback: what an attacker can bring along, replay, borrow or leave out."""

from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from localdev.browser import Browser
from localdev.tenant.visitor import Visitor
from shared.errors import BadRequest, SignInFailed
from shared.services import Services
from signin.sign_in import local_path
from tests.running_app import RunningApp
from tests.security.raw_http import cookie_header, send
from tests.security.storage import etags

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


def refused_code(app: RunningApp, browser: Browser, url: str) -> str:
    """Visits a callback's URL that is to be refused, and gives the code of the refusal."""
    answer = browser.get(url, Accept="application/json")
    assert answer.status_code in (400, 403, 413), answer.text
    assert app.accounts() == []
    return str(answer.json()["code"])


@pytest.mark.parametrize("page", FOREIGN_PAGES)
def test_nobody_is_sent_to_another_site(page: str) -> None:
    """`next` is a path of this app or the sign-in does not begin."""
    with pytest.raises(BadRequest):
        local_path(page)


@pytest.mark.parametrize("page", ["/", "/me", "/accounts?state=needs_sign_in&page=2", "/me/photo"])
def test_pages_of_this_app_may_follow_a_sign_in(page: str) -> None:
    """As they are."""
    assert local_path(page) == page


@pytest.mark.parametrize("page", FOREIGN_PAGES)
def test_foreign_page_is_refused_over_http_however_it_is_encoded(app: RunningApp, page: str) -> None:
    """Decoded once, by the app; no cookie is set, nobody goes anywhere."""
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
    """A stolen code is worth nothing without the browser that asked for it."""
    parts = app.services
    url, flow = parts.identity.begin_sign_in()
    back = sent_to(Visitor().sign_in(url, ADA))
    answer = {name: values[0] for name, values in back.items()}
    with pytest.raises(SignInFailed):
        parts.identity.finish_sign_in(flow | {"code_verifier": "A" * 43}, answer)


def test_id_token_with_another_nonce_is_refused(app: RunningApp) -> None:
    """An id token that was issued for another sign-in can't be slipped in."""
    parts = app.services
    url, flow = parts.identity.begin_sign_in()
    back = sent_to(Visitor().sign_in(url, ADA))
    answer = {name: values[0] for name, values in back.items()}
    with pytest.raises(SignInFailed) as error:
        parts.identity.finish_sign_in(flow | {"nonce": "another"}, answer)
    assert error.value.code == "mismatch"


def test_two_tabs_sign_in_at_once(app: RunningApp) -> None:
    """Each has a flow cookie of its own; whoever comes back first takes nothing from the other."""
    browser = app.browser()
    first, second = (browser.to_callback(ADA, f"/signin?next={page}") for page in ("/me", "/"))
    assert browser.get(second).headers["Location"] == "/"
    assert browser.get(first).headers["Location"] == "/me"


def test_five_tabs_at_most_are_remembered(app: RunningApp) -> None:
    """The oldest gives way: cookies don't pile up."""
    browser = app.browser()
    urls = []
    for _ in range(7):
        urls.append(browser.to_callback(ADA))
        app.clock.move(seconds=1)
    flows = [cookie for cookie in browser.http.cookies if "-flow-" in cookie.name]
    assert len(flows) == 5
    assert refused_code(app, browser, urls[0]) == "unknown_flow"
    assert browser.get(urls[-1]).status_code == 303


def test_borrowed_callback_signs_nobody_in(app: RunningApp) -> None:
    """The attacker's own callback URL, opened in somebody else's browser (login CSRF)."""
    url = app.browser().to_callback(BEN)
    assert refused_code(app, app.browser(), url) == "unknown_flow"


def test_callback_works_once(app: RunningApp) -> None:
    """Its cookie is gone; and with a copy of the cookie, the code is spent."""
    browser = app.browser()
    url = browser.to_callback(ADA)
    copy = {cookie.name: str(cookie.value) for cookie in browser.http.cookies if "-flow-" in cookie.name}
    assert browser.get(url).status_code == 303
    before = etags(app.services.tables)
    assert browser.get(url).status_code == 400
    replayed = send(app.url, "GET", path_of(url), [cookie_header(copy)])
    assert replayed.status == 400
    assert replayed.cookies().get("understudy", "") == ""
    assert etags(app.services.tables) == before


def test_flow_ends_after_ten_minutes(app: RunningApp) -> None:
    """Whatever the browser does with the cookie."""
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
    """An empty one counts as well: proxies and frameworks disagree which of two is meant."""
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
    """Or with an empty code."""
    browser = app.browser()
    state = sent_to(browser.to_callback(ADA))["state"][0]
    assert refused_code(app, browser, f"/signin/callback?state={state}") == "empty_answer"
    assert refused_code(app, browser, f"/signin/callback?state={state}&code=") == "empty_answer"


def test_tokens_in_the_callback_are_ignored(app: RunningApp) -> None:
    """Nobody brings their own id token."""
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
    """A guest's home tenant is not on the list; the tenant that vouches for them here is."""
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
    """Python's URL parser raises on some; no page depends on it."""
    for target in ("/", "/signin?next=/me", "/signin/callback?state=x&code=y", "/me"):
        assert send(app.url, "GET", target, [("Host", host.encode().decode("latin-1"))]).status < 500


@pytest.mark.parametrize(
    "hint", ["a@b\r\nSet-Cookie: x=y", "a&redirect_uri=https://evil.example", "x" * 5000, "\0", "é"]
)
def test_login_hint_is_data_and_nothing_else(app: RunningApp, hint: str) -> None:
    """No header, no further parameter, no endless address."""
    answer = send(app.url, "GET", f"/signin?login_hint={quote(hint)}")
    given = sent_to(answer.one("location"))
    assert given["redirect_uri"] == [f"{app.url}/signin/callback"]
    assert given.get("login_hint", [""]) == [hint[:200]]
    assert not any(name == "set-cookie" and value.startswith("x=") for name, value in answer.headers)


@pytest.mark.parametrize("prompt", ["none", "admin_consent", "login&scope=x", "LOGIN", "login login"])
def test_prompt_is_one_of_a_few_words(app: RunningApp, prompt: str) -> None:
    """Nothing else reaches the tenant."""
    assert send(app.url, "GET", f"/signin?prompt={quote(prompt)}").status == 400


def test_attempts_cost_no_storage_write(app: RunningApp) -> None:
    """Until the tenant has vouched for somebody: begun, refused, forged and failed sign-ins leave no trace."""
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
    """What looks like ours in a Cookie header and isn't is not written back into a Set-Cookie."""
    strange = {f"understudy-flow-{name}": "x" for name in ("", "zzz", "a" * 12 + "\x01", "0" * 11, "0" * 13, "A" * 12)}
    _, flow = parts.identity.begin_sign_in()
    assert len(parts.sessions.keep_flow(flow, "/", strange)) == 1


def test_a_flood_of_flow_cookies_is_not_answered_with_a_flood(parts: Services) -> None:
    """Twenty are deleted at a time."""
    flood = {f"understudy-flow-{number:012x}": "x" for number in range(500)}
    _, flow = parts.identity.begin_sign_in()
    assert len(parts.sessions.keep_flow(flow, "/", flood)) == 21
