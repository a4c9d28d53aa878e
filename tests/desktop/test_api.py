"""Calling the app's API: every refusal names the command that helps."""

import shlex

import pytest

from tests.desktop.desk import ADA, BEN, BrowserPerson, Desk, Ran
from tests.running_app import RunningApp


def follow(desk: Desk, ran: Ran) -> Ran:
    """Runs the command that a refusal named, as a person would copy it."""
    argv = shlex.split(ran.json["error"]["next_step"])
    assert argv[:3] == ["python", "-m", "desktop"]
    return desk.run(*argv[3:], open_browser=BrowserPerson(BEN))


def test_me_by_the_api(desk_and_app: Desk, app: RunningApp) -> None:
    """The profile, and how the background work stands; for people and for programs."""
    desk_and_app.login(BEN)
    ran = desk_and_app.run("me")
    assert ran.code == 0
    assert f"mail: {BEN}" in ran.out
    assert "background work: active" in ran.out
    assert desk_and_app.run("me", "--json").json["profile"]["mail"] == BEN
    assert len(app.accounts()) == 1


def test_withdraw(desk_and_app: Desk, app: RunningApp) -> None:
    """The row is gone; the tokens on this machine stay."""
    desk_and_app.login(BEN)
    desk_and_app.run("me")
    assert desk_and_app.run("withdraw", "--json").json == {"withdrawn": BEN}
    assert app.accounts() == []
    assert desk_and_app.run("token").code == 0


def test_a_claims_challenge_names_the_sign_in_that_meets_it(desk_and_app: Desk, app: RunningApp) -> None:
    """Exit code 3 and a command with the claims. After that sign-in, `me` works."""
    desk_and_app.login(BEN)
    app.tenant.change_person(BEN, state="require_mfa")
    refused = desk_and_app.run("me", "--json")
    assert refused.code == 3
    assert refused.json["error"]["code"] == "interaction_required"
    assert "--claims" in refused.json["error"]["next_step"]
    assert follow(desk_and_app, refused).code == 0
    assert desk_and_app.run("me").code == 0


def test_missing_consent_names_the_sign_in_that_asks_for_it(desk_and_app: Desk, app: RunningApp) -> None:
    """`--prompt consent` and the scope that covers everything."""
    desk_and_app.login(BEN)
    app.tenant.change_person(BEN, state="consent_withdrawn")
    refused = desk_and_app.run("me", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (3, "consent_required")
    assert "--prompt consent" in refused.json["error"]["next_step"]
    assert follow(desk_and_app, refused).code == 0
    assert desk_and_app.run("me").code == 0


def test_a_revoked_sign_in_names_a_new_one(desk_and_app: Desk, app: RunningApp) -> None:
    """The token is still valid, but the app can't exchange it."""
    desk_and_app.login(BEN)
    app.tenant.change_person(BEN, state="revoked")
    refused = desk_and_app.run("me", "--json")
    assert refused.code == 3
    assert follow(desk_and_app, refused).code == 0
    assert desk_and_app.run("me").code == 0


def test_a_token_for_another_app_is_the_apis_to_refuse(desk_and_app: Desk) -> None:
    """The API's own words reach the command line."""
    desk_and_app.login(BEN, "--graph")
    desk_and_app.environ["API_SCOPE"] = "https://graph.microsoft.com/User.Read"
    refused = desk_and_app.run("me")
    assert refused.code == 3
    assert "token_unknown_key" in refused.err or "token_audience" in refused.err


def test_a_failing_tenant_behind_the_api_is_nobodys_fault(desk_and_app: Desk, app: RunningApp) -> None:
    """503: exit code 1, try again."""
    desk_and_app.login(BEN)
    app.tenant.add_fault("token", "status", status=500, grant="urn:ietf:params:oauth:grant-type:jwt-bearer")
    refused = desk_and_app.run("me", "--json")
    assert (refused.code, refused.json["error"]["fix"]) == (1, "nobody")


def test_an_api_that_is_not_there_is_said(desk: Desk) -> None:
    """It is the operator's to fix."""
    desk.login(BEN)
    refused = desk.run("me", "--api-url", "http://localhost:9", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "api_unreachable")


@pytest.mark.parametrize("command", ["me", "withdraw", "token"])
def test_an_unreachable_authority_is_said(desk: Desk, command: str) -> None:
    """One line, exit code 1."""
    refused = desk.run(command, "--authority", "https://localhost:9/x")
    assert refused.code == 1
    assert "can't be reached" in refused.err or "is not one that" in refused.err
    assert refused.err.count("\n") == 1


def test_an_unknown_tenant_is_the_operators(desk: Desk) -> None:
    """AUTHORITY is to be corrected."""
    refused = desk.run("accounts", "--authority", desk.tenant.authority_of("nobody.example"), "--json")
    assert (refused.code, refused.json["error"]["fix"]) == (1, "operator")


def test_an_unregistered_client_is_the_operators(desk: Desk) -> None:
    """AADSTS700016."""
    refused = desk.run(
        "login", "--flow", "device-code", "--client-id", "11111111-0000-0000-0000-000000000000", "--json"
    )
    assert (refused.code, refused.json["error"]["code"]) == (1, "700016")


def test_a_confidential_client_cannot_be_a_desktop(desk: Desk) -> None:
    """AADSTS7000218: public client flows are not allowed."""
    refused = desk.run("login", "--flow", "device-code", "--client-id", desk.tenant.client_id, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "7000218")
    assert "Allow public client flows" in refused.json["error"]["remedy"]


def test_me_of_the_named_account(desk_and_app: Desk) -> None:
    """`--account` chooses between two people on one machine."""
    desk_and_app.login(ADA)
    desk_and_app.browse(BEN, "--prompt", "select_account")
    assert desk_and_app.run("me", "--account", BEN, "--json").json["profile"]["mail"] == BEN
    assert desk_and_app.run("me").code == 2
