"""Rules for every request and every response."""

import json
from collections.abc import Callable

import azure.functions as func
import pytest

from localdev.browser import Browser
from shared.errors import BadRequest, Forbidden
from shared.web.error_handler import handle_errors
from shared.web.requests import path_of, refuse_other_sites
from shared.web.responses import image
from tests.running_app import RunningApp
from tests.security.raw_http import Answer, cookie_header, send

ADA = "ada@contoso.example"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"
CHANGING = ("POST", "PUT", "PATCH", "DELETE")


def session(browser: Browser) -> tuple[str, str]:
    """The Cookie header of a browser that is signed in."""
    return cookie_header({"understudy": str(browser.http.cookies.get("understudy"))})


@pytest.fixture
def ada(app: RunningApp) -> Browser:
    """Ada's browser, signed in."""
    browser = app.browser()
    browser.sign_in(ADA)
    return browser


CROSS_SITE: list[list[tuple[str, str]]] = [
    [],
    [("Origin", "https://evil.example")],
    [("Origin", "null")],
    [("Origin", "")],
    [("Origin", "http://localhost")],
    [("Origin", "http://localhost:1")],
    [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "none")],
    [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "same-origin")],
    [("Referer", "http://localhost/")],
]


@pytest.mark.parametrize("headers", CROSS_SITE)
def test_other_sites_sign_nobody_out(app: RunningApp, ada: Browser, headers: list[tuple[str, str]]) -> None:
    """A form on another page, with this browser's cookies."""
    answer = send(app.url, "POST", "/signout", [session(ada), *headers])
    assert answer.status == 403
    assert ada.get("/me").status_code == 200


def test_prefix_of_our_origin_is_not_our_origin(app: RunningApp, ada: Browser) -> None:
    """Origins are compared as a whole."""
    for origin in (f"{app.url}.evil.example", f"{app.url}0", f"{app.url}/", f"{app.url}, {app.url}"):
        assert send(app.url, "POST", "/signout", [session(ada), ("Origin", origin)]).status == 403


@pytest.mark.parametrize("headers", [[("Sec-Fetch-Site", "same-origin")]])
def test_our_own_pages_may(app: RunningApp, ada: Browser, headers: list[tuple[str, str]]) -> None:
    """This includes browsers that send no Origin."""
    assert send(app.url, "POST", "/signout", [session(ada), *headers]).status == 303


@pytest.mark.parametrize("path", ["/accounts", "/accounts.json", "/accounts.csv"])
def test_people_without_the_role_see_nobody_else(start_app: Callable[..., RunningApp], path: str) -> None:
    """Being signed in is not enough."""
    app = start_app(ADMIN_ROLE="Understudy.Operator")
    browser = app.browser()
    assert browser.get(path).status_code == 401
    app.tenant.change_person(ADA, roles=["Another.Role"])
    browser.sign_in(ADA)
    assert browser.get(path).status_code == 403
    app.tenant.change_person(ADA, roles=["Understudy.Operator"])
    browser.sign_in(ADA)
    assert browser.get(path).status_code == 200


def test_nobody_is_an_operator_when_no_role_is_named(app: RunningApp) -> None:
    """An empty ADMIN_ROLE admits nobody, not even a person with an empty role."""
    app.tenant.change_person(ADA, roles=["", "Understudy.Operator"])
    browser = app.browser()
    browser.sign_in(ADA)
    assert browser.get("/accounts").status_code == 403


def test_operators_see_no_token(start_app: Callable[..., RunningApp]) -> None:
    """They see states and failures, and no cache, session or secret."""
    app = start_app(ADMIN_ROLE="Understudy.Operator")
    app.tenant.change_person(ADA, roles=["Understudy.Operator"])
    browser = app.browser()
    browser.sign_in(ADA)
    generations = [account.session_generation for account in app.accounts()]
    for path in ("/accounts", "/accounts.json", "/accounts.csv"):
        shown = browser.get(path).text
        assert ADA in shown
        assert not [each for each in (*app.tenant.issued_secrets(), *generations) if each in shown]


def test_every_route_that_changes_something_checks_where_it_comes_from(start_app: Callable[..., RunningApp]) -> None:
    """A route that forgets the check is found here: with an operator's cookie and a foreign Origin, none succeeds."""
    app = start_app(ADMIN_ROLE="Understudy.Operator")
    app.tenant.change_person(ADA, roles=["Understudy.Operator"])
    browser = app.browser()
    browser.sign_in(ADA)
    tried = []
    for route in app.host.web.router.routes:
        for method in set(CHANGING) & set(route.methods):
            if route.template.startswith("api/"):
                continue  # bearer tokens: no browser sends them by itself
            headers = [session(browser), ("Origin", "https://evil.example"), ("Accept", "application/json")]
            answer = send(app.url, method, f"/{route.template}", headers, b"account_id=x")
            assert (answer.status, json.loads(answer.body)["code"]) == (403, "cross_site"), (method, route.template)
            tried.append(route.template)
    assert {"signout", "accounts/remove", "accounts/sweep"} <= set(tried)


def everything(app: RunningApp, ada: Browser) -> dict[str, Answer]:
    """One answer of every kind that the app itself sends."""
    cookie = session(ada)
    html = ("Accept", "text/html")
    return {
        "welcome": send(app.url, "GET", "/", [html]),
        "home": send(app.url, "GET", "/", [html, cookie]),
        "style": send(app.url, "GET", "/style.css"),
        "redirect": send(app.url, "GET", "/signin"),
        "profile": send(app.url, "GET", "/me", [html, cookie]),
        "json": send(app.url, "GET", "/me", [cookie]),
        "photo": send(app.url, "GET", "/me/photo", [cookie]),
        "refused page": send(app.url, "GET", "/me", [html]),
        "refused json": send(app.url, "GET", "/me"),
        "forbidden": send(app.url, "POST", "/signout", [cookie]),
        "callback": send(app.url, "GET", "/signin/callback"),
        "signed out": send(app.url, "POST", "/signout", [cookie, ("Origin", app.url)]),
    }


def test_security_headers_are_on_every_response(app: RunningApp, ada: Browser) -> None:
    """Pages, JSON, redirects, pictures and refusals."""
    for kind, answer in everything(app, ada).items():
        policy = answer.one("content-security-policy")
        assert "default-src 'none'" in policy, kind
        assert "frame-ancestors 'none'" in policy, kind
        assert "unsafe" not in policy, kind
        assert answer.one("x-content-type-options") == "nosniff", kind
        assert answer.one("x-frame-options") == "DENY", kind
        assert answer.one("referrer-policy") == "same-origin", kind
        assert answer.one("strict-transport-security").startswith("max-age=31536000"), kind
        assert answer.one("cross-origin-opener-policy") == "same-origin", kind
        assert answer.one("cross-origin-resource-policy") == "same-origin", kind
        assert not answer.all("access-control-allow-origin"), kind
        assert answer.one("content-type") or not answer.body, kind


def test_only_what_is_the_same_for_everybody_is_kept_by_caches(app: RunningApp, ada: Browser) -> None:
    """Only the browser of the session may cache a picture."""
    for kind, answer in everything(app, ada).items():
        kept = answer.one("cache-control")
        if kind == "style":
            assert "public" in kept
        elif kind == "photo" and answer.status == 200:
            assert "no-store" in kept or ("private" in kept and answer.one("vary") == "Cookie")
        else:
            assert kept == "no-store", kind


def test_no_page_has_a_script_or_an_inline_style(app: RunningApp, ada: Browser) -> None:
    """The policy would block them, and nothing needs them."""
    for kind, answer in everything(app, ada).items():
        assert "<script" not in answer.text.lower(), kind
        assert " style=" not in answer.text.lower(), kind
        assert " onclick=" not in answer.text.lower(), kind


def test_profile_of_markup_is_shown_as_text(app: RunningApp) -> None:
    """Names come from a directory that may contain anything."""
    fields = ("displayName", "givenName", "jobTitle", "officeLocation")
    app.tenant.change_person(ADA, profile=dict.fromkeys(fields, HOSTILE))
    browser = app.browser()
    browser.sign_in(ADA)
    for path in ("/", "/me"):
        page = browser.get(path).text
        assert "<script" not in page
        assert "<img src=x" not in page
        assert "49" not in page or "{{7*7}}" in page
    assert browser.get("/me", Accept="application/json").headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("text", ["\0", "\x1b[31m", "\u202e", "a\r\nSet-Cookie: x=y"])
def test_profile_of_odd_characters_is_no_failure(app: RunningApp, text: str) -> None:
    """A line break stays in the page."""
    app.tenant.change_person(ADA, profile={"jobTitle": text})
    browser = app.browser()
    browser.sign_in(ADA)
    answer = browser.get("/me")
    assert answer.status_code == 200
    assert "x=y" not in str(answer.headers)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "GARBAGE"])
def test_methods_that_no_route_has_are_refused(app: RunningApp, ada: Browser, method: str) -> None:
    """Nothing happens to the account."""
    for target in ("/", "/signin", "/signin/callback", "/signout", "/me"):
        answer = send(app.url, method, target, [session(ada), ("Origin", app.url)])
        # 204: the host's own answer at / when its home page is switched off.
        assert answer.status in (204, 400, 404, 405)
        assert not answer.all("set-cookie")
    assert len(app.accounts()) == 1


def test_signing_out_needs_a_post(app: RunningApp, ada: Browser) -> None:
    """An image or a link can't sign anybody out."""
    assert ada.get("/signout").status_code == 404
    assert ada.get("/me").status_code == 200


BODIES: list[tuple[str, bytes]] = [
    ("application/x-www-form-urlencoded", b"\xff\xfe%ff%zz&&==&keep"),
    ("application/x-www-form-urlencoded", b"keep=background-work&keep=x"),
    ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
    ("multipart/form-data", b""),
    ("application/json", b'{"keep":'),
    ("text/plain", b"\0" * 100),
    ("", b"keep=background-work"),
]


@pytest.mark.parametrize(("media_type", "body"), BODIES)
def test_odd_forms_are_no_failure(app: RunningApp, media_type: str, body: bytes) -> None:
    """The sender is not signed in."""
    answer = send(app.url, "POST", "/signout", [("Origin", app.url), ("Content-Type", media_type)], body)
    assert answer.status < 500


TOO_LARGE: list[Callable[[], tuple[str, str, list[tuple[str, str]], bytes]]] = [
    lambda: ("GET", "/?" + "x" * 17_000, [], b""),
    lambda: ("GET", "/signin?" + "&".join(f"a{n}=1" for n in range(2000)), [], b""),
    lambda: ("GET", "/me", [("Cookie", "understudy=" + "A" * 17_000)], b""),
    lambda: ("GET", "/me", [("Cookie", "; ".join(f"c{n}=1" for n in range(3000)))], b""),
    lambda: ("GET", "/me", [(f"X-{n}", "1") for n in range(150)], b""),
    lambda: ("GET", "/me", [(f"X-{n}", "x" * 6000) for n in range(6)], b""),
    lambda: ("GET", "/", [("Content-Type", "text/plain")], b"x" * 70_000),
    lambda: ("POST", "/signout", [("Content-Type", "text/plain")], b"x" * 70_000),
    lambda: ("POST", "/signout", [], b"&".join(b"a%d=1" % n for n in range(9000))),
]


@pytest.mark.parametrize("make", TOO_LARGE)
def test_oversized_request_is_refused(
    app: RunningApp, make: Callable[[], tuple[str, str, list[tuple[str, str]], bytes]]
) -> None:
    """This covers URL, parameters, cookies, headers and body."""
    method, target, headers, body = make()
    answer = send(app.url, method, target, [*headers, ("Origin", app.url)], body)
    assert answer.status == 413
    assert len(answer.body) < 4096


def test_largest_requests_of_real_browsers_pass(app: RunningApp, ada: Browser) -> None:
    """Sixty headers, and the cookies of other apps on the same host."""
    headers = [(f"X-{n}", "x" * 200) for n in range(60)]
    others = ("Cookie", session(ada)[1] + "; " + "; ".join(f"other{n}={'x' * 500}" for n in range(20)))
    assert send(app.url, "GET", "/me", [*headers, others]).status == 200


def test_picture_that_could_run_is_given_as_plain_bytes() -> None:
    """Graph names a photo's type, but SVG and HTML are not shown."""
    for media_type in ("image/svg+xml", "text/html", "image/png\r\nX: y", ""):
        assert image(b"x", media_type).mimetype == "application/octet-stream"
    assert image(b"x", "image/png").mimetype == "image/png"


def test_half_a_surrogate_pair_is_shown_as_a_question_mark() -> None:
    """It is valid JSON but not a character."""

    @handle_errors
    def refuse(_: func.HttpRequest) -> func.HttpResponse:
        raise BadRequest("a\ud800b")

    request = func.HttpRequest("GET", "http://localhost/", headers={"accept": "text/html"}, body=b"")
    assert b"a?b" in refuse(request).get_body()


def test_somebody_else_can_not_read_a_profile(app: RunningApp, ada: Browser) -> None:
    """/me always shows the session's own person, whatever the request contains."""
    ben = app.browser()
    ben.sign_in("ben@contoso.example")
    ids = {account.username: account.account_id for account in app.accounts()}
    for target in (f"/me?id={ids[ADA]}", f"/me?account_id={ids[ADA]}", "/me?userPrincipalName=ada@contoso.example"):
        assert ben.get(target, Accept="application/json").json()["mail"] == "ben@contoso.example"


def test_a_path_in_the_log_is_short_and_holds_no_query() -> None:
    """A code or a megabyte in an address reaches no log."""
    request = func.HttpRequest("GET", f"https://app.example/{'a' * 300}?code=secret", body=b"")
    assert path_of(request) == "/" + "a" * 100


def test_our_own_pages_are_known_whatever_the_case_of_base_url() -> None:
    """Browsers send the origin in lower case (RFC 6454, 4)."""
    headers = {"origin": "https://contoso.example"}
    refuse_other_sites(func.HttpRequest("POST", "/signout", headers=headers, body=b""), "https://Contoso.Example/")
    with pytest.raises(Forbidden):
        refuse_other_sites(func.HttpRequest("POST", "/signout", headers=headers, body=b""), "https://fabrikam.example")
