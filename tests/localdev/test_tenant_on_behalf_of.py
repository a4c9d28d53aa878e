"""On-behalf-of: the app's API trades the token it was called with for one for Graph."""

import time
from typing import Any

import pytest

from localdev.tenant import CONTOSO, SampleTenant, Visitor
from tests.localdev.tenant_actors import BEN, WebApp, claims_in, desktop, graph_get, post_token


@pytest.fixture
def api_token(tenant: SampleTenant) -> str:
    """Ben's access token for the app's own API, got by the desktop client."""
    app = desktop(tenant)
    flow = app.initiate_device_flow([f"api://{tenant.client_id}/access_as_user"])
    Visitor().allow_device(flow["verification_uri"], flow["user_code"], BEN)
    return str(app.acquire_token_by_device_flow(flow)["access_token"])


def exchange(web: WebApp, token: str, *scopes: str) -> dict[str, Any]:
    """MSAL's result."""
    return dict(web.msal.acquire_token_on_behalf_of(token, list(scopes or ("User.Read",))))


def test_gives_a_graph_token_that_refreshes(web: WebApp, api_token: str) -> None:
    """The known client's consent covered the API's own permissions; the account is Ben's."""
    result = exchange(web, api_token)
    assert graph_get(web.tenant, "/me", result["access_token"]).json()["mail"] == BEN
    assert claims_in(api_token)["oid"] == claims_in(result["access_token"])["oid"]
    assert "access_token" in web.silent()
    assert web.tenant.log()["on_behalf_of_redeemed"] == 1


@pytest.mark.parametrize(
    ("state", "code"), [("require_mfa", 50076), ("revoked", 50173), ("disabled", 50057), ("consent_withdrawn", 65001)]
)
def test_a_persons_state_counts(web: WebApp, api_token: str, state: str, code: int) -> None:
    """A token from before the event is no longer good for a trade."""
    web.tenant.change_person(BEN, state=state)
    result = exchange(web, api_token)
    assert (result["error"], result["error_codes"]) == ("invalid_grant", [code])
    assert ("claims" in result) == (code == 50076)


def test_refuses_scopes_without_consent(web: WebApp, api_token: str) -> None:
    """Nobody allowed the API to read mail."""
    assert exchange(web, api_token, "Mail.Read")["error_codes"] == [65001]


def _evil(tenant: SampleTenant, token: str, **changes: Any) -> str:
    return tenant.sign(claims_in(token) | changes)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://graph.microsoft.com"}, 50013),
        ({"scp": "something_else"}, 50013),
        ({"oid": "nobody"}, 50013),
        ({"exp": 1}, 500133),
        ({"nbf": int(time.time()) + 3600}, 500133),
    ],
)
def test_refuses_evil_assertions(web: WebApp, api_token: str, changes: dict[str, Any], code: int) -> None:
    """Signed by the tenant, but not for this."""
    assert exchange(web, _evil(web.tenant, api_token, **changes))["error_codes"] == [code]


def test_refuses_a_foreign_signature_and_a_public_client(tenant: SampleTenant, api_token: str) -> None:
    """And a request that doesn't say what it is."""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "requested_token_use": "on_behalf_of",
        "assertion": api_token,
        "scope": "User.Read",
    }
    assert post_token(tenant, form | {"assertion": api_token[:-8] + "AAAAAAAA"}).json()["error_codes"] == [50013]
    public = {"client_id": tenant.desktop_client_id, "client_secret": ""}
    assert post_token(tenant, form | public).json()["error"] == "unauthorized_client"
    assert post_token(tenant, form | {"requested_token_use": ""}).json()["error_codes"] == [900144]
    assert post_token(tenant, form, segment=CONTOSO.domain).status_code == 200
