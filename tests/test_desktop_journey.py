"""The second journey, end to end on real parts, with the client in its own process: device code, a call, absence,
background work, withdrawal."""

from pathlib import Path

import pytest

from localdev.desktop_user import DesktopUser
from shared.accounts import Source, State
from tests.running_app import RunningApp

BEN = "ben@contoso.example"


@pytest.fixture
def desktop(app: RunningApp, tmp_path: Path) -> DesktopUser:
    """One machine, and the app behind it."""
    app.tenant.change_settings(device_interval=1)
    return DesktopUser(app.tenant, tmp_path, app.url)


def test_a_person_signs_in_on_the_desktop_is_acted_for_while_away_and_withdraws(
    app: RunningApp, desktop: DesktopUser
) -> None:
    """Everything that the desktop sample promises, in order, on one row."""
    assert desktop.sign_in(BEN)["username"] == BEN
    called = desktop.run("me")
    assert called["profile"]["mail"] == BEN
    assert called["background"]["lastSweptAt"] is None
    account = app.account_of(BEN)
    assert account is not None
    assert (account.source, account.state) == (Source.ON_BEHALF_OF, State.ACTIVE)

    assert app.counts() == {}  # still present
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}
    called = desktop.run("me")
    assert called["background"]["lastSweptAt"] is not None
    assert app.tenant.log()["on_behalf_of_redeemed"] == 1

    assert desktop.run("withdraw") == {"withdrawn": BEN}
    assert app.accounts() == []
    app.clock.move(hours=2)
    assert app.counts() == {}
    assert desktop.run("logout") == {"forgotten": [BEN]}


def test_the_same_person_in_the_browser_and_on_the_desktop_withdraws_from_both(
    app: RunningApp, desktop: DesktopUser
) -> None:
    """One row; the browser's session ends with it."""
    browser = app.browser()
    browser.sign_in(BEN)
    desktop.sign_in(BEN)
    assert desktop.run("me")["background"]["source"] == "sign_in"
    assert len(app.accounts()) == 1
    desktop.run("withdraw")
    assert browser.get("/me").status_code == 401
