"""Signing in by browser, over a loopback port."""

import pytest

from tests.desktop.desk import ADA, BEN, BrowserPerson, Desk


def test_login_by_the_browser(desk: Desk) -> None:
    """PKCE and form_post, on a free port of localhost; our own page says that it worked."""
    person = BrowserPerson(BEN)
    ran = desk.run("login", "--flow", "interactive", open_browser=person)
    assert ran.code == 0
    assert f"{BEN} is signed in" in ran.out
    assert "A browser opens: sign in there." in ran.err
    assert person.thread is not None
    person.thread.join(10)
    assert "You are signed in" in person.pages[0]
    asked = person.asked
    assert (asked["code_challenge_method"], asked["response_mode"]) == ("S256", "form_post")
    assert asked["redirect_uri"].startswith("http://localhost:")


def test_options_reach_the_tenant(desk: Desk) -> None:
    """Prompt, hint, further scopes, and the claims of a challenge in base64."""
    person = BrowserPerson(BEN)
    argv = ["--prompt", "select_account", "--login-hint", BEN, "--extra-scopes-to-consent", "User.Read", "Mail.Read"]
    claims = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7InZhbHVlIjoiMSJ9fX0="
    assert desk.run("login", *argv, "--claims", claims, open_browser=person).code == 0
    asked = person.asked
    assert (asked["prompt"], asked["login_hint"]) == ("select_account", BEN)
    assert {"User.Read", "Mail.Read", f"api://{desk.tenant.client_id}/access_as_user"} <= set(asked["scope"].split())
    assert '"nbf"' in asked["claims"]
    assert '"CP1"' in asked["claims"]


def test_a_prompt_passes_over_the_stored_account(desk: Desk) -> None:
    """`--prompt` always asks the person."""
    desk.browse(BEN)
    assert desk.browse(ADA, "--prompt", "select_account").out.startswith(f"{ADA} is signed in")
    assert desk.browse(BEN, "--login-hint", BEN).out.startswith(f"{BEN} is still signed in")


def test_no_prompt_without_a_session_needs_interaction(desk: Desk) -> None:
    """`--prompt none`: exit code 3."""
    ran = desk.browse(BEN, "--prompt", "none", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (3, "50058")


def test_declining_is_shown_on_our_own_page(desk: Desk) -> None:
    """The command prints one line."""
    person = BrowserPerson(BEN, accept=False)
    ran = desk.run("login", open_browser=person)
    assert ran.code == 1
    assert "You declined what this app asked for." in ran.err
    assert person.thread is not None
    person.thread.join(10)
    assert "You could not be signed in" in person.pages[0]


def test_nobody_answers(desk: Desk) -> None:
    """The wait ends by itself."""
    ran = desk.run("login", "--timeout", "1", "--json", open_browser=lambda _: True)
    assert (ran.code, ran.json["error"]["code"]) == (1, "nobody_answered")


def test_without_a_browser_the_address_is_shown(desk: Desk) -> None:
    """This helps people on a remote shell."""
    ran = desk.run("login", "--timeout", "1", open_browser=lambda _: False)
    assert f"Open this address in a browser: {desk.tenant.page_url}" in ran.err


@pytest.mark.parametrize(
    "argv",
    [
        ["--flow", "device-code", "--prompt", "login"],
        ["--flow", "username-password", "--username", BEN, "--login-hint", BEN],
        ["--flow", "interactive", "--username", BEN],
        ["--flow", "username-password"],
        ["--claims", "not claims"],
        ["--claims", "WyJhIl0="],
        ["--prompt", "please"],
        ["--flow", "smoke-signals"],
    ],
)
def test_options_that_make_no_sense_are_refused(desk: Desk, argv: list[str]) -> None:
    """Exit code 2, before any request."""
    assert desk.run("login", *argv).code == 2
    assert desk.tenant.log()["token_requests"] == 0


def test_there_is_no_broker_here_and_that_is_said(desk: Desk) -> None:
    """The message says what to do instead, also for Integrated Windows Authentication."""
    ran = desk.run("login", "--broker")
    assert ran.code == 2
    assert "no sign-in broker" in ran.err
    assert "Integrated Windows Authentication" in ran.err
