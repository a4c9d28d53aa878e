"""The pages of the app with a certified provider behind them: who is kept signed in, and who is told what."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from localdev.browser import Browser
from localdev.openid_provider import OpenIdProvider
from shared.accounts import State
from tests.running_app import RunningApp, text_of


@pytest.fixture
def app(start_app: Callable[..., RunningApp], provider: OpenIdProvider) -> RunningApp:
    """The app, running, and registered at the provider."""
    running = start_app()
    provider.settings(running.url)
    return running


def sign_in(app: RunningApp, provider: OpenIdProvider, person: str = "ada", **options: str) -> tuple[Browser, str]:
    """Goes through the provider as often as the app sends the browser there. Returns the browser, and the text of the
    page at the end, or "" when the app went on to one of its own pages."""
    browser, elsewhere = app.browser(), requests.Session()
    answer = browser.get("/signin", **{"Sec-Fetch-Site": "same-origin"})
    for _ in range(4):
        location = answer.headers.get("Location", "")
        if not location.startswith(provider.issuer):
            return browser, "" if location == "/" else text_of(answer)
        answer = browser.get(provider.sign_in(location, person, browser=elsewhere, **options))
    pytest.fail("the app sends the browser to the provider again and again")


def prompts(provider: OpenIdProvider) -> list[str]:
    """The prompts that the provider was asked for."""
    return [each.get("prompt", "") for each in provider.counts()["asked"]]


def test_a_provider_that_wants_consent_is_asked_for_it_at_once(app: RunningApp, provider: OpenIdProvider) -> None:
    """The first sign-in brings no refresh token, and the second follows by itself. Later ones begin with consent."""
    browser, page = sign_in(app, provider)
    assert page == ""
    assert browser.get("/").status_code == 200
    assert [each.state for each in app.accounts()] == [State.ACTIVE]
    sign_in(app, provider, "ben")
    assert prompts(provider) == ["", "consent", "consent"]
    app.clock.move(minutes=10)
    assert app.counts() == {"cached": 2}


def test_a_sign_in_without_a_refresh_token_leaves_a_working_one(app: RunningApp, provider: OpenIdProvider) -> None:
    """The person is signed in, and their row stays as it was."""
    sign_in(app, provider)
    (before,) = app.accounts()
    app.services.identity.wants_consent = False  # another instance, which has not seen it yet
    browser, page = sign_in(app, provider)
    assert page == ""
    assert browser.get("/").status_code == 200
    (after,) = app.accounts()
    assert (after.sealed_cache, after.cache_version) == (before.sealed_cache, before.cache_version)


def test_who_must_sign_in_again_gets_a_new_refresh_token(app: RunningApp, provider: OpenIdProvider) -> None:
    """A revoked grant sets the person aside; one sign-in, in which they agree again, is enough."""
    provider.change(access_token_seconds=50)
    sign_in(app, provider)
    provider.revoke("ada")
    app.clock.move(minutes=10)
    assert app.counts() == {"sign_in_required": 1}
    app.services.identity.wants_consent = False
    assert sign_in(app, provider)[1] == ""
    assert [each.state for each in app.accounts()] == [State.ACTIVE]
    app.clock.move(minutes=70)
    assert app.counts() == {"fresh": 1}


@pytest.mark.parametrize("why", ["the person declines", "the client may have none"])
def test_nobody_is_active_without_a_refresh_token(app: RunningApp, provider: OpenIdProvider, why: str) -> None:
    """They are asked once more, and then told. Nothing is stored."""
    declines = why == "the person declines"
    provider.change(refresh_tokens=declines)
    _, page = sign_in(app, provider, refuse="offline_access" if declines else "")
    assert "This app got no lasting permission" in page
    assert prompts(provider) == ["", "consent"]
    assert app.accounts() == []


def test_entras_parameters_stay_with_entra(app: RunningApp, provider: OpenIdProvider) -> None:
    """No client capabilities, and no claims: a provider may refuse what it does not know."""
    sign_in(app, provider)
    asked = provider.counts()["asked"]
    assert {name for each in asked for name in each} & {"claims", "client_info", "access_type"} == set()
    assert {each["scope"] for each in asked} == {"offline_access openid profile"}


def test_links_from_elsewhere_ask_for_a_login_too(app: RunningApp, provider: OpenIdProvider) -> None:
    """Both prompts go together."""
    sign_in(app, provider)
    location = app.browser().get("/signin").headers["Location"]
    assert parse_qs(urlsplit(location).query)["prompt"] == ["login consent"]


def test_people_see_who_they_are_without_microsoft_graph(app: RunningApp, provider: OpenIdProvider) -> None:
    """By default this provider keeps names out of the id token, so its userinfo is asked."""
    browser, _ = sign_in(app, provider)
    home, profile, photo = browser.get("/"), browser.get("/me"), browser.get("/me/photo", Accept="image/*")
    assert [each.status_code for each in (home, profile, photo)] == [200] * 3
    assert "ada of elsewhere" in text_of(home)
    assert "ada of elsewhere" in text_of(profile)
    assert "By the provider at which you signed in" in text_of(profile)
    assert browser.get("/me", Accept="application/json").json() == {
        "displayName": "ada of elsewhere",
        "userPrincipalName": "ada@elsewhere.example",
    }


def test_people_see_who_they_are_when_graph_is_down(
    start_app: Callable[..., RunningApp], provider: OpenIdProvider
) -> None:
    """A plain provider's people need no Graph to be known."""
    app = start_app(GRAPH_URL="https://localhost:9")
    provider.settings(app.url)
    browser, _ = sign_in(app, provider)
    assert browser.get("/me", Accept="application/json").json()["displayName"] == "ada of elsewhere"


def test_a_wrong_secret_is_told_to_the_operator_alone(
    start_app: Callable[..., RunningApp], provider: OpenIdProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """One error in the log names the setting and what the provider said; the person gets an apology."""
    app = start_app(CLIENT_SECRET="not the secret")
    provider.settings(app.url)
    _, page = sign_in(app, provider)
    assert "We are sorry" in page
    assert "CLIENT_SECRET" not in page
    (line,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "CLIENT_SECRET" in line
    assert "invalid_client: client authentication failed" in line
