"""The tenant's clock differs from ours: a small difference does no harm, a large one refuses the sign-in."""

import pytest

from shared.accounts import State
from tests.running_app import RunningApp

ADA = "ada@contoso.example"


@pytest.mark.parametrize("seconds", [-90, 90])
def test_a_little_skew_is_nobody_s_concern(app: RunningApp, seconds: int) -> None:
    """Sign-in, profile and sweep, with the tenant's clock before or behind ours."""
    app.tenant.change_settings(clock_skew=seconds)
    browser = app.browser()
    assert browser.sign_in(ADA).status_code == 303
    assert browser.get("/me").status_code == 200
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}


def test_much_skew_is_a_refused_sign_in_and_nobody_is_set_aside(app: RunningApp) -> None:
    """An id token from the future is not trusted. The app still acts for people who have signed in before."""
    browser = app.browser()
    browser.sign_in(ADA)
    app.tenant.change_settings(clock_skew=3600)
    answer = app.browser().sign_in("ben@contoso.example")
    assert answer.status_code == 400
    assert "id_token_not_yet_valid" in answer.text
    assert len(app.accounts()) == 1
    app.clock.move(minutes=6)
    app.sweep()
    account = app.account_of(ADA)
    assert account is not None
    assert account.state is State.ACTIVE
