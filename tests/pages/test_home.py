"""The home page: what it costs, and how it copes with faults."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from localdev.browser import Browser
from shared.accounts import State
from shared.identity.sign_in_link import CHALLENGE_LIFETIME, opened_challenge, sealed_challenge, sign_in_path
from shared.wording.scopes import scope_in_words
from shared.wording.times import in_words, interval, relative
from tests.recording_store import record_calls
from tests.running_app import Clock, RunningApp, text_of

BEN = "ben@contoso.example"
CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


def claims_sent(browser: Browser, path: str) -> str:
    """The claims that a sign-in asks the tenant for."""
    query = parse_qs(urlsplit(browser.get(path).headers["Location"]).query)
    return query.get("claims", [""])[0]


def test_home_page_is_one_round_trip_to_storage(app: RunningApp) -> None:
    """One read brings session and token cache."""
    app.tenant.change_settings(access_token_lifetime=3600)
    browser = app.browser()
    browser.sign_in(BEN)
    calls: list[str] = []
    app.services.store = record_calls(app.services.store, calls)
    assert "Sales manager" in text_of(browser.get("/"))
    assert calls == ["get"]


@pytest.mark.parametrize(
    "fault",
    [
        {"where": "graph", "kind": "status", "status": 503},
        {"where": "graph", "kind": "throttle", "retry_after": 60},
        {"where": "graph", "kind": "html"},
        {"where": "graph", "kind": "reset"},
        {"where": "token", "kind": "status", "status": 503},
        {"where": "token", "kind": "throttle", "retry_after": 60},
    ],
    ids=lambda fault: f"{fault['where']} {fault['kind']}",
)
def test_home_page_bears_a_graph_or_a_tenant_that_fails(app: RunningApp, fault: dict[str, object]) -> None:
    """It shows what it knows: the person, and what was done in their name."""
    browser = app.browser()
    browser.sign_in(BEN)
    app.tenant.add_fault(**fault)  # type: ignore[arg-type]
    answer = browser.get("/")
    assert answer.status_code == 200
    assert "Ben Okafor" in text_of(answer)
    assert "Working for you while you are away" in text_of(answer)


def test_photo_is_never_broken(app: RunningApp) -> None:
    """With Graph down an <img> gets initials; a script gets the error."""
    browser = app.browser()
    browser.sign_in(BEN)
    app.tenant.add_fault("graph", "status", status=503)
    picture = browser.get("/me/photo", Accept="image/avif,image/*,*/*;q=0.8")
    assert picture.headers["Content-Type"].startswith("image/svg+xml")
    assert ">BO</text>" in picture.text
    assert browser.get("/me/photo", Accept="application/json").status_code == 503


def test_home_page_knows_at_once_that_the_person_must_come_back(app: RunningApp) -> None:
    """When the tenant refuses during the request, the page says so."""
    browser = app.browser()
    browser.sign_in(BEN)
    app.tenant.change_person(BEN, state="revoked")
    page = text_of(browser.get("/"))
    assert "please sign in again" in page
    account = app.account_of(BEN)
    assert account is not None
    assert account.state is State.NEEDS_SIGN_IN


@pytest.mark.parametrize(
    ("state", "prompt"),
    [("revoked", "login"), ("require_mfa", ""), ("consent_withdrawn", "consent"), ("inactive", "login")],
)
def test_button_starts_the_sign_in_that_helps(app: RunningApp, state: str, prompt: str) -> None:
    """The sign-in is for the right person. A second factor asks for no password, a missing consent asks for consent."""
    browser = app.browser()
    browser.sign_in(BEN)
    app.tenant.change_person(BEN, state=state)
    app.clock.move(minutes=6)
    assert app.counts() == {"sign_in_required": 1}
    page = browser.get("/").text
    link = page.split('class="button" href="', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    clicked = browser.get(link, **{"Sec-Fetch-Site": "same-origin"})
    to_tenant = parse_qs(urlsplit(clicked.headers["Location"]).query)
    assert to_tenant["login_hint"] == [BEN]
    assert ("claims" in to_tenant, '"essential"' in to_tenant["claims"][0]) == (True, state == "require_mfa")
    assert to_tenant.get("prompt", [""]) == [prompt]
    browser.sign_in(BEN, link)
    assert "Working for you while you are away" in text_of(browser.get("/"))


def test_claims_reach_the_tenant_only_sealed(app: RunningApp) -> None:
    """Claims that we sealed reach the authorize URL. Claims that somebody wrote into an address do not."""
    browser = app.browser()
    challenge = sealed_challenge(CLAIMS, app.services.settings.key_ring, owner=BEN, now=app.clock())
    assert '"acrs"' in claims_sent(browser, sign_in_path(username=BEN, code="50076", challenge=challenge))
    for name in ("challenge", "claims"):
        assert '"acrs"' not in claims_sent(browser, f"/signin?{urlencode({name: CLAIMS, 'login_hint': BEN})}")


def test_challenge_of_somebody_else_or_of_long_ago_makes_an_ordinary_sign_in(app: RunningApp) -> None:
    """It opens for the person whom the tenant challenged, for fourteen days, and never without an owner."""
    keys, sealed_at = app.services.settings.key_ring, app.clock()
    sealed = sealed_challenge(CLAIMS, keys, owner=BEN, now=sealed_at)
    late = sealed_at + CHALLENGE_LIFETIME
    assert opened_challenge(sealed, keys, owner=BEN, now=late - timedelta(seconds=1)) == CLAIMS
    assert opened_challenge(sealed, keys, owner=BEN, now=late) == ""
    for owner in ("ada@contoso.example", ""):
        assert opened_challenge(sealed, keys, owner=owner, now=sealed_at) == ""
    assert opened_challenge("forged", keys, owner=BEN, now=sealed_at) == ""
    assert sealed_challenge(CLAIMS, keys, owner="", now=sealed_at) == ""
    assert sealed_challenge("", keys, owner=BEN, now=sealed_at) == ""


def test_refusal_during_a_request_leads_to_a_sign_in_with_the_tenants_claims(app: RunningApp) -> None:
    """The page's button passes them on."""
    browser = app.browser()
    browser.sign_in(BEN)
    app.tenant.change_person(BEN, state="require_mfa")
    answer = browser.get("/me")
    assert answer.status_code == 401
    link = answer.text.split('class="button" href="', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    assert parse_qs(urlsplit(link).query)["next"] == ["/me"]
    assert '"essential"' in claims_sent(browser, link)
    assert '"essential"' not in claims_sent(app.browser(), link), "the challenge belongs to Ben's session"
    done = browser.sign_in(BEN, link)
    assert done.headers["Location"] == "/me"
    assert browser.get("/me").status_code == 200


def test_home_page_of_somebody_else_is_not_kept(app: RunningApp) -> None:
    """Personal pages are never stored by browsers or proxies."""
    browser = app.browser()
    browser.sign_in(BEN)
    for path in ("/", "/me"):
        assert browser.get(path).headers["Cache-Control"] == "no-store"


def test_words_for_times() -> None:
    """Times use the largest unit that fits."""
    now = Clock()()
    assert relative(now - timedelta(minutes=5, seconds=10), now) == "5 minutes ago"
    assert relative(now + timedelta(days=2, hours=5), now) == "in 2 days"
    assert relative(now + timedelta(seconds=3), now) == "just now"
    assert in_words(timedelta(hours=1)) == "1 hour"
    assert interval(timedelta(hours=1)) == "hour"
    assert interval(timedelta(minutes=30)) == "30 minutes"


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("User.Read", "read your profile"),
        ("https://graph.microsoft.com/Calendars.Read", "read your calendars"),
        ("api://contoso/Odd.Scope", "api://contoso/Odd.Scope"),
    ],
)
def test_scopes_are_told_in_words(scope: str, words: str) -> None:
    """Unknown scopes are shown as they are."""
    assert scope_in_words(scope) == words


@pytest.mark.parametrize(
    ("code", "prompt"), [("65001", "consent"), ("50076", ""), ("50173", "login"), ("what", "login")]
)
def test_prompt_follows_the_code(code: str, prompt: str) -> None:
    """A code without a row asks the person to sign in again."""
    asked = parse_qs(urlsplit(sign_in_path(code=code)).query)
    assert asked.get("prompt", [""]) == [prompt]


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ("AADSTS65004: User declined to consent.", "You did not agree"),
        ("AADSTS90094: The grant requires admin permission.", "An administrator must agree first"),
        ("AADSTS70008: The code has expired.", "This sign-in has expired"),
        ("AADSTS50105: Not assigned to a role.", "You could not be signed in"),
    ],
)
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_refused_sign_in_has_a_page_of_its_own(
    start_app: Callable[..., RunningApp], error: str, title: str, accept: str
) -> None:
    """It says what happened and what to do, with a reference. Programs get a JSON document."""
    browser = start_app().browser()
    to_tenant = parse_qs(urlsplit(browser.get("/signin").headers["Location"]).query)
    path = f"/signin/callback?state={to_tenant['state'][0]}&error=access_denied&error_description={error}"
    answer = browser.get(path, Accept=accept)
    assert answer.status_code == 400
    assert "Traceback" not in answer.text
    if accept == "text/html":
        assert title in text_of(answer)
        assert "quote" in text_of(answer)
    else:
        assert answer.json()["reference"]
