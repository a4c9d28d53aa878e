"""What the desktop client uses: device codes, passwords, user realms, the loopback redirect."""

from typing import Any

import pytest

from localdev.tenant import CONTOSO, SampleTenant, SignInRefused, Visitor
from tests.localdev.tenant_actors import ADA, BEN, GRETA, HUGO, Clock, answer_in, desktop, session

SCOPES = ["User.Read"]


@pytest.fixture(autouse=True)
def quick_devices(tenant: SampleTenant) -> None:
    """MSAL warns of polling sooner than the tenant asks for."""
    tenant.change_settings(device_interval=1)


def started(app: Any) -> dict[str, Any]:
    """A device flow that may be polled at once."""
    return dict(app.initiate_device_flow(SCOPES))


def polled(app: Any, flow: dict[str, Any]) -> dict[str, Any]:
    """What one poll brings, however soon after the last."""
    flow.pop("latest_attempt_at", None)
    return dict(app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True))


def test_a_device_code_signs_in(tenant: SampleTenant) -> None:
    """Pending, then allowed in a browser elsewhere, then tokens, which refresh."""
    app = desktop(tenant)
    flow = started(app)
    assert flow["user_code"] in flow["message"]
    assert polled(app, flow)["error"] == "authorization_pending"
    Visitor().allow_device(flow["verification_uri"], flow["user_code"], BEN)
    assert polled(app, flow)["id_token_claims"]["preferred_username"] == BEN
    (account,) = app.get_accounts()
    assert "access_token" in app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
    log = tenant.log()
    assert (log["device_codes_redeemed"], log["refused"]) == (1, 0)


def test_a_device_code_works_once(tenant: SampleTenant) -> None:
    """The second redemption knows it no more."""
    app = desktop(tenant)
    flow = started(app)
    Visitor().allow_device(flow["verification_uri"], flow["user_code"], BEN)
    assert "access_token" in polled(app, flow)
    again = polled(desktop(tenant), flow)
    assert (again["error"], again["error_codes"]) == ("bad_verification_code", [70018])


def test_a_declined_device_is_told_so(tenant: SampleTenant) -> None:
    """authorization_declined."""
    app = desktop(tenant)
    flow = started(app)
    Visitor().allow_device(flow["verification_uri"], flow["user_code"], BEN, accept=False)
    assert polled(app, flow)["error"] == "authorization_declined"


def test_a_device_code_expires(tenant: SampleTenant, clock: Clock) -> None:
    """For the device and on the page."""
    app = desktop(tenant)
    flow = started(app)
    clock.ahead = 901
    assert polled(app, flow)["error"] == "expired_token"
    with pytest.raises(SignInRefused, match="didn't work"):
        Visitor().allow_device(flow["verification_uri"], flow["user_code"], BEN)


def test_the_device_page_knows_who_may(tenant: SampleTenant) -> None:
    """A wrong code, a stranger to the tenant, a disabled person."""
    flow = started(desktop(tenant))
    tenant.change_person(BEN, state="disabled")
    for code, username, words in (("XXXXXXXXX", BEN, "didn't work"), ("", HUGO, "not in this"), ("", BEN, "50057")):
        with pytest.raises(SignInRefused, match=words):
            Visitor().allow_device(flow["verification_uri"], code or flow["user_code"], username)


def test_the_loopback_redirect_takes_any_port(tenant: SampleTenant) -> None:
    """Authorization code with PKCE and no secret."""
    app = desktop(tenant)
    flow = app.initiate_auth_code_flow(SCOPES, redirect_uri="http://localhost:54321", response_mode="form_post")
    result = app.acquire_token_by_auth_code_flow(flow, answer_in(Visitor().sign_in(flow["auth_uri"], BEN)))
    assert result["id_token_claims"]["preferred_username"] == BEN


def by_password(tenant: SampleTenant, username: str, password: str = "", segment: str = CONTOSO.tid) -> dict[str, Any]:
    """MSAL's result; "" takes the right password."""
    known = {each["username"]: each["password"] for each in tenant.people()}
    with pytest.warns(DeprecationWarning, match="deprecated"):  # and so do we
        return dict(
            desktop(tenant, segment).acquire_token_by_username_password(username, password or known[username], SCOPES)
        )


def test_a_password_works_after_consent(tenant: SampleTenant) -> None:
    """No page can be shown, so consent must have been given before."""
    assert by_password(tenant, BEN)["error_codes"] == [65001]
    app = desktop(tenant)
    flow = started(app)
    Visitor().allow_device(flow["verification_uri"], flow["user_code"], BEN)
    assert by_password(tenant, BEN)["id_token_claims"]["preferred_username"] == BEN
    assert tenant.log()["passwords_redeemed"] == 1


@pytest.mark.parametrize(
    ("username", "password", "state", "error", "code"),
    [
        (BEN, "wrong", None, "invalid_grant", 50126),
        ("nobody@contoso.example", "x", None, "invalid_grant", 50034),
        (HUGO, "", None, "invalid_grant", 50020),
        (BEN, "", "require_mfa", "invalid_grant", 50076),
        (BEN, "", "mfa_enrolment", "invalid_grant", 50079),
        (BEN, "", "disabled", "invalid_grant", 50057),
    ],
)
def test_passwords_are_refused_in_so_many_words(
    tenant: SampleTenant, username: str, password: str, state: str | None, error: str, code: int
) -> None:
    """Each reason has its own code."""
    if state:
        tenant.change_person(username, state=state)
    result = by_password(tenant, username, password)
    assert (result["error"], result["error_codes"]) == (error, [code])


def test_passwords_need_a_tenant(tenant: SampleTenant) -> None:
    """Not over /common."""
    assert by_password(tenant, BEN, segment="common")["error_codes"] == [90010]


@pytest.mark.parametrize(
    ("username", "kind"), [(ADA, "Managed"), (GRETA, "Managed"), ("x@adatum.example", "Federated"), ("x@y", "Unknown")]
)
def test_tells_the_user_realm(tenant: SampleTenant, username: str, kind: str) -> None:
    """What MSAL asks before it sends a password."""
    url = tenant.authority_of("common") + f"/userrealm/{username}?api-version=1.0"
    assert session(tenant).get(url).json()["account_type"] == kind
