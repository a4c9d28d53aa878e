"""Signing in with a device code, and the commands that need no further sign-in."""

import io
import re

import pytest

from tests.desktop.desk import ADA, BEN, Desk, DevicePerson


def test_login_by_device_code(desk: Desk) -> None:
    """The message goes to stderr, the outcome to stdout; the next login asks nobody."""
    first = desk.login(BEN)
    assert first.code == 0
    assert "enter the code" in first.err
    assert first.out.startswith(f"{BEN} is signed in, until ")
    again = desk.run("login", "--flow", "device-code")
    assert (again.code, again.err) == (0, "")
    assert "still signed in" in again.out
    assert desk.tenant.log()["device_codes_redeemed"] == 1


def test_login_for_programs(desk: Desk) -> None:
    """One JSON object on stdout and one JSON line per event on stderr. Neither has a token."""
    ran = desk.login(BEN, "--json")
    assert ran.json["username"] == BEN
    assert ran.json["scopes"] == [f"api://{desk.tenant.client_id}/access_as_user"]
    assert ran.json["silent"] is False
    assert '"event": "device_code"' in ran.err
    assert "eyJ" not in ran.out + ran.err


def test_login_waits_with_progress_until_somebody_allows_it(desk: Desk) -> None:
    """On a terminal the remaining time is updated in place."""
    terminal = SlowPerson(BEN)
    ran = desk.run("login", "--flow", "device-code", err=terminal)
    assert ran.code == 0
    assert re.search(r"\rWaiting .* expires in \d+ s", ran.err)
    assert ran.err.endswith("\r\x1b[K")


class SlowPerson(DevicePerson):
    """A person at a terminal who acts only after the first second."""

    def __init__(self, username: str) -> None:
        super().__init__(username)
        self._asked = ""

    def isatty(self) -> bool:
        """A terminal."""
        return True

    def write(self, text: str) -> int:
        """Remembers the instructions and follows them at the first sign of progress."""
        if "enter the code" in text:
            self._asked = text
            return io.StringIO.write(self, text)
        if text.startswith("\rWaiting") and self._asked:
            super().write(self._asked)
            self._asked = ""
        return io.StringIO.write(self, text)


def test_a_declined_code_ends_at_once(desk: Desk) -> None:
    """Exit code 1, and why."""
    ran = desk.login(BEN, accept=False)
    assert ran.code == 1
    assert "The sign-in was declined." in ran.err
    assert "AADSTS70017" in ran.err


def test_an_expired_code_ends_the_wait(desk: Desk) -> None:
    """Nobody came."""
    desk.tenant.change_settings(device_code_lifetime=1)
    ran = desk.run("login", "--flow", "device-code")
    assert ran.code == 1
    assert "The code has expired." in ran.err


def test_ctrl_c_ends_the_wait(desk: Desk) -> None:
    """Without a stack trace; nothing is stored."""
    ran = desk.run("login", "--flow", "device-code", err=Interrupted())
    assert ran.code == 1
    assert ran.err.endswith("Cancelled.\n")
    assert desk.run("accounts").out == "Nobody is signed in.\n"


class Interrupted(io.StringIO):
    """A person who presses Ctrl+C as soon as the code appears."""

    def write(self, text: str) -> int:
        """Called by print."""
        if "enter the code" in text:
            raise KeyboardInterrupt
        return super().write(text)


def test_several_accounts_live_side_by_side(desk: Desk) -> None:
    """Commands then need `--account`. Logout removes one account, or all."""
    desk.login(ADA)
    desk.login(BEN)  # nobody is named and there was only one: still Ada
    assert [each["username"] for each in desk.run("accounts", "--json").json["accounts"]] == [ADA]
    desk.run("login", "--flow", "device-code", "--claims", '{"access_token": {}}', err=DevicePerson(BEN))
    assert sorted(desk.run("accounts").out.split()) == [ADA, BEN]
    unclear = desk.run("token")
    assert unclear.code == 2
    assert "Name one with --account" in unclear.err
    assert desk.run("token", "--account", ADA, "--json").json["username"] == ADA
    assert desk.run("logout", "--account", ADA.upper(), "--json").json == {"forgotten": [ADA]}
    assert desk.run("logout", "--account", ADA).code == 2
    assert desk.run("logout").out.startswith(f"Forgot {BEN} on this machine. The app's background work goes on")
    assert desk.run("logout", "--json").json == {"forgotten": []}


def test_token_shows_facts_and_the_token_only_on_demand(desk: Desk) -> None:
    """Expiry and scopes; `--show` is needed for more."""
    desk.login(BEN)
    shy = desk.run("token", "--json")
    assert set(shy.json) == {"username", "expires_at", "scopes"}
    assert "eyJ" not in shy.out + desk.run("token").out
    assert desk.run("token", "--json", "--show").json["access_token"].startswith("eyJ")


@pytest.mark.parametrize("command", ["me", "token", "withdraw"])
def test_what_needs_an_account_says_how_to_get_one(desk: Desk, command: str) -> None:
    """Exit code 3: a person has to sign in."""
    ran = desk.run(command, "--json")
    assert ran.code == ran.json["exit_code"] == 3
    assert ran.json["error"]["code"] == "no_account"
    assert ran.json["error"]["next_step"] == "python -m desktop login"
    assert desk.run(command).err.count("\n") == 1


def test_a_revoked_person_is_told_to_sign_in_again(desk: Desk) -> None:
    """The stored refresh token is no longer valid."""
    desk.login(BEN)
    desk.tenant.change_person(BEN, state="revoked")
    ran = desk.run("token", "--graph")
    assert ran.code == 3
    assert "AADSTS50173" in ran.err
    assert "Run: python -m desktop login --graph" in ran.err
    assert desk.login(BEN, "--graph").code == 0


def test_graph_directly(desk: Desk) -> None:
    """This needs a token for Graph; the API's token does not work there."""
    desk.login(BEN)
    assert desk.run("me", "--graph", "--json").json["error"]["next_step"] == "python -m desktop login --graph"
    desk.login(BEN, "--graph")
    ran = desk.run("me", "--graph", "--json")
    assert (ran.code, ran.json["mail"]) == (0, BEN)
    assert f"mail: {BEN}" in desk.run("me", "--graph").out


def test_graphs_claims_challenge_is_met_silently_or_by_the_person(desk: Desk) -> None:
    """Continuous access evaluation: a refresh helps, or exit code 3."""
    desk.login(BEN, "--graph")
    desk.run("me", "--graph")
    desk.tenant.change_person(BEN, state="continuous_access")
    assert desk.run("me", "--graph").code == 0
    desk.tenant.change_person(BEN, state="revoked", continuous_access=True)
    assert desk.run("me", "--graph").code == 3


def test_graph_that_fails_is_nobodys_fault(desk: Desk) -> None:
    """Exit code 1 and the status."""
    desk.login(BEN, "--graph")
    desk.tenant.add_fault("graph", "status", status=503)
    ran = desk.run("me", "--graph", "--json")
    assert (ran.code, ran.json["error"]["fix"]) == (1, "nobody")


@pytest.mark.parametrize("kind", ["status", "throttle", "html", "empty", "reset", "truncated"])
def test_a_tenant_that_fails_is_one_line(desk: Desk, kind: str) -> None:
    """At a sign-in and at a silent renewal: exit code 1, nobody's fault. Afterwards both work again."""
    desk.login(BEN)
    desk.tenant.add_fault("token", kind, **({"status": 500} if kind == "status" else {}))
    renewal = desk.run("token", "--graph", "--json")
    sign_in = desk.login(BEN, "--json", "--claims", '{"access_token": {}}')
    for ran in (renewal, sign_in):
        assert (ran.code, ran.json["error"]["fix"] in ("nobody", "operator")) == (1, True), ran
        assert "eyJ" not in ran.out + ran.err
    desk.tenant.clear_faults()
    assert desk.run("token").code == 0
