"""Redeeming authorization codes: once, in time, by the right client with the right verifier."""

import base64
import hashlib
from typing import Any

import pytest
import requests

from localdev.tenant import SampleTenant, Visitor
from tests.localdev.tenant_actors import BEN, CALLBACK, Clock, WebApp, answer_in, code_in, post_token

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def code(tenant: SampleTenant) -> str:
    """A fresh code for Ben, with PKCE."""
    query = {
        "client_id": tenant.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile offline_access User.Read",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    url = requests.Request("GET", f"{tenant.page_url}/{tenant.tenant_id}/oauth2/v2.0/authorize", params=query)
    return code_in(Visitor().sign_in(str(url.prepare().url), BEN))


def redeem(tenant: SampleTenant, code: str, **changes: str) -> requests.Response:
    """A raw redemption."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return post_token(tenant, form | changes)


def refused(answer: requests.Response) -> tuple[Any, ...]:
    """What a refusal says."""
    body = answer.json()
    return answer.status_code, body["error"], body["error_codes"]


def test_a_code_works_once(tenant: SampleTenant, code: str) -> None:
    """The replay is refused and counted; the tokens from the first use stay good."""
    assert redeem(tenant, code).status_code == 200
    assert refused(redeem(tenant, code)) == (400, "invalid_grant", [54005])
    log = tenant.log()
    assert (log["codes_issued"], log["codes_redeemed"], log["refused"]) == (1, 1, 1)
    assert log["by_person"][BEN]["refused"] == 1


def test_msal_reports_a_replay(web: WebApp) -> None:
    """The error reaches the app as Entra words it."""
    flow = web.flow()
    answer = answer_in(Visitor().sign_in(flow["auth_uri"], BEN))
    assert "access_token" in web.msal.acquire_token_by_auth_code_flow(flow, answer)
    again = web.msal.acquire_token_by_auth_code_flow(flow, answer)
    assert (again["error"], again["error_codes"]) == ("invalid_grant", [54005])
    assert again["error_description"].startswith("AADSTS54005")


@pytest.mark.parametrize("verifier", ["w" * 43, ""])
def test_needs_the_pkce_verifier(tenant: SampleTenant, code: str, verifier: str) -> None:
    """A wrong or missing one is refused and does not use the code up."""
    assert refused(redeem(tenant, code, code_verifier=verifier)) == (400, "invalid_grant", [501481])
    assert redeem(tenant, code).status_code == 200


def test_needs_the_same_redirect_uri(tenant: SampleTenant, code: str) -> None:
    """Even another registered one is refused."""
    other = redeem(tenant, code, redirect_uri="http://localhost:1/signin/callback")
    assert refused(other) == (400, "invalid_grant", [500112])


def test_is_bound_to_the_client(tenant: SampleTenant, code: str) -> None:
    """The desktop client can't redeem the web app's code."""
    other = redeem(tenant, code, client_id=tenant.desktop_client_id, client_secret="")
    assert refused(other) == (400, "invalid_grant", [70000])


def test_ends_after_ten_minutes(tenant: SampleTenant, code: str, clock: Clock) -> None:
    """The tenant's clock decides."""
    clock.ahead = 601
    assert refused(redeem(tenant, code)) == (400, "invalid_grant", [70008])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"code": "garbage"}, (400, "invalid_grant", [9002313])),
        ({"code": ""}, (400, "invalid_request", [900144])),
        ({"grant_type": ""}, (400, "invalid_request", [900144])),
        ({"grant_type": "magic"}, (400, "unsupported_grant_type", [70003])),
        ({"scope": "User.Raed"}, (400, "invalid_scope", [70011])),
        ({"scope": "Mail.Read"}, (400, "invalid_grant", [65001])),
        ({"claims": "no json"}, (400, "invalid_request", [70002])),
    ],
)
def test_refuses_odd_requests(
    tenant: SampleTenant, code: str, changes: dict[str, str], expected: tuple[Any, ...]
) -> None:
    """Each with its own code."""
    assert refused(redeem(tenant, **({"code": code} | changes))) == expected


def test_errors_look_like_entras(tenant: SampleTenant) -> None:
    """Every field that a client may log or read is there; the correlation id is the caller's."""
    headers = {"client-request-id": "11111111-2222-3333-4444-555555555555"}
    answer = post_token(tenant, {"grant_type": "authorization_code", "code": "x"}, headers=headers)
    body = answer.json()
    assert body["correlation_id"] == headers["client-request-id"]
    assert body["error_uri"].endswith("/error?code=9002313")
    for part in (f"Trace ID: {body['trace_id']}", "Correlation ID: 11111111-", f"Timestamp: {body['timestamp']}"):
        assert part in body["error_description"]


def test_gives_no_refresh_token_unless_asked(tenant: SampleTenant, code: str) -> None:
    """offline_access decides; openid decides about the id token."""
    body = redeem(tenant, code, scope="User.Read").json()
    assert "refresh_token" not in body
    assert "id_token" not in body
    assert "client_info" not in body


def test_a_disabled_person_gets_nothing_for_a_code(tenant: SampleTenant, code: str) -> None:
    """What happens between the page and the redemption counts too."""
    tenant.change_person(BEN, state="disabled")
    assert refused(redeem(tenant, code)) == (400, "invalid_grant", [50057])
