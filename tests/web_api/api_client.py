"""A client app with a signed-in person, and what it needs to call the API."""

import base64
import re
from typing import Any

import msal
import requests

from localdev.tenant import SampleTenant, Visitor
from tests.localdev.tenant_actors import session
from tests.running_app import RunningApp


def api_token(tenant: SampleTenant, username: str, segment: str = "", *, scope: str = "access_as_user") -> str:
    """An access token for the app's API. The person allows a device code and consents to everything."""
    client = msal.PublicClientApplication(
        tenant.desktop_client_id,
        authority=tenant.authority_of(segment or tenant.tenant_id),
        instance_discovery=False,
        http_client=session(tenant),
    )
    flow = client.initiate_device_flow([f"api://{tenant.client_id}/{scope}"])
    Visitor().allow_device(flow["verification_uri"], flow["user_code"], username)
    return str(client.acquire_token_by_device_flow(flow)["access_token"])


def call(app: RunningApp, token: str = "", method: str = "GET", **headers: str) -> requests.Response:
    """One request to /api/profile."""
    http = requests.Session()
    http.trust_env = False
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    return http.request(method, f"{app.url}/api/profile", headers=sent | headers)


def challenge_in(response: requests.Response) -> dict[str, str]:
    """The parameters of the Bearer challenge."""
    header = response.headers["WWW-Authenticate"]
    assert header.startswith("Bearer ")
    parameters = dict(re.findall(r'(\w+)="([^"]*)"', header))
    # The challenge is exactly what was read: no stray quotes, no second challenge.
    assert header == "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
    return parameters


def problem_in(response: requests.Response) -> dict[str, Any]:
    """The problem details (RFC 9457)."""
    assert response.headers["Content-Type"].startswith("application/problem+json")
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code
    return problem


def claims_json(text: str) -> str:
    """A claims challenge, decoded from base64."""
    return base64.b64decode(text).decode()
