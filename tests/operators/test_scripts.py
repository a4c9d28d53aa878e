"""Operators' documents by bearer token: role, tenant, scope and client decide, and a refusal says what is missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from localdev.desktop_user import DesktopUser
from localdev.tenant import FABRIKAM, SampleTenant
from tests.localdev.tenant_actors import claims_in
from tests.running_app import RunningApp
from tests.web_api.api_client import api_token, call, challenge_in, problem_in

ADA, BEN, EMI, GRETA = "ada@contoso.example", "ben@contoso.example", "emi@contoso.example", "greta@fabrikam.example"
DOCUMENTS = ("/accounts.json", "/accounts.csv")
ROLE, SCOPE = "Understudy.Operator", "Operators.Read"
STRANGER = "00000000-0000-0000-0000-00000000000f"

StartApp = Callable[..., RunningApp]


@pytest.fixture
def app(start_app: StartApp) -> RunningApp:
    """The app with operators, and Emi in its list."""
    app = start_app(ADMIN_ROLE=ROLE)
    app.browser().sign_in(EMI)
    return app


def operator_token(tenant: SampleTenant, username: str = ADA, segment: str = "", **changes: Any) -> str:
    """A person's token with the operators' scope; with other claims when there are `changes` (None removes one)."""
    token = api_token(tenant, username, segment, scope=SCOPE)
    if not changes:
        return token
    return tenant.sign({name: value for name, value in (claims_in(token) | changes).items() if value is not None})


def by_script(app: RunningApp, path: str, token: str = "", method: str = "GET") -> requests.Response:
    """A program's request, without a cookie."""
    with requests.Session() as http:
        http.trust_env = False
        return http.request(method, app.url + path, headers={"Authorization": f"Bearer {token}"} if token else {})


@pytest.mark.parametrize("path", DOCUMENTS)
def test_scripts_read_with_an_operators_token(app: RunningApp, path: str) -> None:
    """Role, tenant and scope are there."""
    answer = by_script(app, path, operator_token(app.tenant))
    assert answer.status_code == 200
    assert EMI in answer.text


def test_the_desktop_client_gets_scripts_their_token(app: RunningApp, tmp_path: Path) -> None:
    """As docs/operations.md has it: API_SCOPE names the operators' scope, and `token --show` gives the token."""
    desk = DesktopUser(app.tenant, tmp_path, app.url)
    desk.environ["API_SCOPE"] = f"api://{app.tenant.client_id}/{SCOPE}"
    app.tenant.change_settings(device_interval=1)
    desk.sign_in(ADA)
    answer = by_script(app, "/accounts.json", desk.run("token", "--show")["access_token"])
    assert EMI in [account["username"] for account in answer.json()["accounts"]]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_an_operators_token_for_the_api_alone_reads_nobody(app: RunningApp, path: str) -> None:
    """An operator signs in to clients of the API like everybody: these don't get to see everybody."""
    refused = by_script(app, path, api_token(app.tenant, ADA))
    assert (refused.status_code, problem_in(refused)["code"]) == (403, "token_scope")
    challenge = challenge_in(refused)
    assert (challenge["error"], challenge["scope"]) == ("insufficient_scope", f"api://{app.tenant.client_id}/{SCOPE}")
    assert EMI not in refused.text


def test_operators_scope_does_not_open_the_api(app: RunningApp) -> None:
    """Each scope is for one thing. The challenge names the API's."""
    refused = call(app, operator_token(app.tenant))
    assert (refused.status_code, problem_in(refused)["code"]) == (403, "token_scope")
    assert challenge_in(refused)["scope"] == f"api://{app.tenant.client_id}/access_as_user"


def test_scope_can_be_another_one_and_be_named_in_full(start_app: StartApp) -> None:
    """OPERATOR_SCOPE may be copied from the portal."""
    client_id = start_app().tenant.client_id
    app = start_app(ADMIN_ROLE=ROLE, OPERATOR_SCOPE=f"api://{client_id}/People.List")
    token = operator_token(app.tenant)
    assert by_script(app, "/accounts.json", token).status_code == 403
    assert by_script(app, "/accounts.json", operator_token(app.tenant, scp="x People.List")).status_code == 200


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize("changes", [{}, {"scp": None}, {"scp": "access_as_user"}], ids=["scope", "none", "another"])
def test_an_apps_own_token_reads_nobody(app: RunningApp, path: str, changes: dict[str, Any]) -> None:
    """Even beside a scope and the role: no person signed in for it."""
    refused = by_script(app, path, operator_token(app.tenant, idtyp="app", **changes))
    assert (refused.status_code, problem_in(refused)["code"]) == (403, "token_app_only")
    assert challenge_in(refused)["error"] == "insufficient_scope"
    assert EMI not in refused.text


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_person_without_the_role_is_refused(app: RunningApp, path: str) -> None:
    """No scope is named, because another token of theirs would not help."""
    refused = by_script(app, path, operator_token(app.tenant, BEN))
    assert (refused.status_code, problem_in(refused)["code"]) == (403, "not_an_operator")
    challenge = challenge_in(refused)
    assert (challenge["error"], "scope" in challenge) == ("insufficient_scope", False)
    assert challenge["error_description"] == problem_in(refused)["detail"]
    assert EMI not in refused.text


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_refusal_says_what_token_to_send(app: RunningApp, path: str) -> None:
    """Nobody, an odd token, and a signed-in person without the role. Without a token there is no error (RFC 6750,
    3.1)."""
    nobody = by_script(app, path)
    assert (nobody.status_code, problem_in(nobody)["code"]) == (401, "not_signed_in")
    assert challenge_in(nobody)["scope"] == f"api://{app.tenant.client_id}/{SCOPE}"
    assert "error" not in challenge_in(nobody)
    odd = by_script(app, path, "not.a.token")
    assert (odd.status_code, challenge_in(odd)["error"]) == (401, "invalid_token")
    ben = app.browser()
    ben.sign_in(BEN)
    refused = ben.get(path)
    assert refused.status_code == 403
    assert challenge_in(refused)["scope"] == f"api://{app.tenant.client_id}/{SCOPE}"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_only_listed_clients_get_the_documents(start_app: StartApp, path: str) -> None:
    """Entra names the client as `azp`, in tokens of version 1.0 as `appid`."""
    desktop = start_app().tenant.desktop_client_id
    app = start_app(ADMIN_ROLE=ROLE, OPERATOR_CLIENTS=f"{STRANGER}, {desktop.upper()}")
    app.browser().sign_in(EMI)
    assert by_script(app, path, operator_token(app.tenant)).status_code == 200
    assert by_script(app, path, operator_token(app.tenant, azp=None, appid=desktop)).status_code == 200
    for claims in ({"azp": app.tenant.client_id}, {"azp": None}):
        refused = by_script(app, path, operator_token(app.tenant, **claims))
        assert (refused.status_code, problem_in(refused)["code"]) == (403, "token_client")
        assert challenge_in(refused)["error"] == "insufficient_scope"
        assert EMI not in refused.text


def test_clients_of_the_api_are_not_those_of_operators(start_app: StartApp) -> None:
    """The list is about operators' documents alone."""
    app = start_app(ADMIN_ROLE=ROLE, OPERATOR_CLIENTS=STRANGER)
    assert call(app, api_token(app.tenant, BEN)).status_code == 200


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_role_of_another_tenant_reads_nobody(start_app: StartApp, path: str) -> None:
    """Greta's administrators gave her the role in Fabrikam. Their tenant is not in the list."""
    tenant = start_app().tenant
    app = start_app(
        ADMIN_ROLE=ROLE, AUTHORITY=tenant.authority_of("organizations"), OPERATOR_TENANTS=tenant.tenant_id.upper()
    )
    app.browser().sign_in(EMI)
    tenant.change_person(GRETA, roles=[ROLE])
    token = operator_token(tenant, GRETA, FABRIKAM.tid)
    assert claims_in(token)["roles"] == [ROLE]
    refused = by_script(app, path, token)
    assert (refused.status_code, problem_in(refused)["code"]) == (403, "not_an_operator")
    assert EMI not in refused.text
    assert by_script(app, path, operator_token(tenant)).status_code == 200


@pytest.mark.parametrize("path", DOCUMENTS)
def test_no_token_reads_anybody_until_the_tenants_are_named(start_app: StartApp, path: str) -> None:
    """With an authority for many tenants nobody knows whose operators count, and the answer says so."""
    tenant = start_app().tenant
    app = start_app(ADMIN_ROLE=ROLE, AUTHORITY=tenant.authority_of("organizations"))
    app.browser().sign_in(EMI)
    refused = by_script(app, path, operator_token(tenant))
    assert (refused.status_code, problem_in(refused)["code"]) == (403, "operator_tenants_missing")
    assert "OPERATOR_TENANTS" in challenge_in(refused)["error_description"]
    assert EMI not in refused.text


def test_a_token_changes_nothing_on_operators_pages(app: RunningApp) -> None:
    """Removing and sweeping work only from the app's own pages."""
    token = operator_token(app.tenant)
    for path in ("/accounts/remove", "/accounts/sweep"):
        assert by_script(app, path, token, "POST").status_code == 403
    assert by_script(app, "/accounts", token).status_code == 401


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_plain_provider_has_no_tokens_for_scripts(start_app: StartApp, path: str) -> None:
    """With OIDC_AUTHORITY a browser's session is all there is, so no challenge sends anybody for a token."""
    app = start_app(ADMIN_ROLE=ROLE, AUTHORITY="", OIDC_AUTHORITY=start_app().tenant.oidc_authority)
    refused = by_script(app, path)
    assert (refused.status_code, problem_in(refused)["code"]) == (401, "not_signed_in")
    assert "WWW-Authenticate" not in refused.headers
    assert by_script(app, path, "e30.e30.e30").status_code == 501
