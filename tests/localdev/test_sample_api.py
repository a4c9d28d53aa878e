"""The sample API: takes tokens of its own audience and scopes, keeps what is pushed, and counts it."""

from typing import Any

import pytest
import requests

from localdev.tenant import SampleTenant
from tests.localdev.tenant_actors import ADA, BEN, WebApp, claims_in, session


def _send(tenant: SampleTenant, token: str, method: str, path: str = "", value: Any = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return session(tenant).request(method, f"{tenant.sample_api_url}/items{path}", headers=headers, json=value)


@pytest.fixture
def token(web: WebApp) -> str:
    """Ben's access token for the sample API."""
    return str(web.sign_in(BEN, f"{web.tenant.sample_api}/Items.ReadWrite")["access_token"])


def test_its_token_has_its_audience_and_scopes(web: WebApp, token: str) -> None:
    """A version 2.0 token without the app roles of another app."""
    ada = claims_in(WebApp(web.tenant).sign_in(ADA, f"{web.tenant.sample_api}/Items.Read")["access_token"])
    assert (ada["aud"], ada["scp"]) == (web.tenant.sample_api.removeprefix("api://"), "Items.Read")
    assert "roles" not in ada
    ben = claims_in(token)
    assert (ben["azp"], ben["ver"], ben["scp"]) == (web.tenant.client_id, "2.0", "Items.ReadWrite")


def test_a_repeated_push_changes_nothing(tenant: SampleTenant, token: str) -> None:
    """201, then 200; the counts tell which pushes did something."""
    statuses = [_send(tenant, token, "PUT", "/t1", {"title": each}).status_code for each in ("A", "A", "B")]
    assert statuses == [201, 200, 200]
    assert _send(tenant, token, "GET").json() == {"t1": {"title": "B"}}
    pushed = tenant.data.pushed()
    assert {name: pushed[name] for name in ("puts", "created", "unchanged", "updated")} == {
        "puts": 3,
        "created": 1,
        "unchanged": 1,
        "updated": 1,
    }
    assert pushed["items"] == {BEN: {"t1": {"title": "B"}}}


def test_a_repeated_delete_is_no_error(tenant: SampleTenant, token: str) -> None:
    """204 both times, counted once. An ID may hold a slash and an equals sign."""
    _send(tenant, token, "PUT", "/a/b=", {})
    assert [_send(tenant, token, "DELETE", "/a/b=").status_code for _ in range(2)] == [204, 204]
    assert tenant.data.pushed()["deleted"] == 1


def test_people_see_their_own_items_only(tenant: SampleTenant, token: str) -> None:
    """Ada's list is empty."""
    _send(tenant, token, "PUT", "/t1", {})
    ada = WebApp(tenant).sign_in(ADA, f"{tenant.sample_api}/Items.ReadWrite")["access_token"]
    assert _send(tenant, ada, "GET").json() == {}


def test_refuses_tokens_for_others_and_without_its_scopes(web: WebApp, token: str) -> None:
    """401 for Graph's and for a forged token, 403 for a scope that is not enough; nothing is kept."""
    tenant = web.tenant
    graph = web.sign_in(BEN)["access_token"]
    for bad in ("", "garbage", graph, tenant.sign(claims_in(token) | {"exp": 1})):
        answer = _send(tenant, bad, "PUT", "/t1", {})
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    profile = WebApp(tenant).sign_in(ADA, f"{tenant.sample_api}/User.Read")["access_token"]
    answer = _send(tenant, profile, "PUT", "/t1", {})
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    pushed = tenant.data.pushed()
    assert (pushed["puts"], pushed["refused"]) == (0, 5)


def test_only_json_is_kept(tenant: SampleTenant, token: str) -> None:
    """400 for anything else."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = session(tenant).put(f"{tenant.sample_api_url}/items/t1", data="{", headers=headers)
    assert answer.status_code == 400
    assert tenant.data.pushed()["items"] == {}


def test_it_can_be_told_to_fail(tenant: SampleTenant, token: str) -> None:
    """Instead of the work, or after it."""
    tenant.add_fault("api", "throttle", retry_after=7, username=BEN, method="PUT", times=1)
    throttled = _send(tenant, token, "PUT", "/t1", {})
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "7")
    tenant.add_fault("api", "reset_midway", times=1)
    with pytest.raises(requests.RequestException):
        _send(tenant, token, "PUT", "/t1", {})
    assert tenant.data.pushed()["puts"] == 1
    tenant.reset()
    assert tenant.data.pushed()["puts"] == 0
