"""Client authentication: secrets, certificates, federated credentials, public clients."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
from azure.identity import ManagedIdentityCredential

from localdev.tenant import CONTOSO, ClientCertificate, SampleTenant
from tests.localdev.tenant_actors import BEN, WebApp, post_token, session, token_url

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def held(web: WebApp) -> str:
    """Ben's refresh token."""
    web.sign_in(BEN)
    return web.refresh_token()


def with_credential(tenant: SampleTenant, held: str, **credential: str) -> requests.Response:
    """A refresh by the web app with only this credential."""
    form = {"grant_type": "refresh_token", "refresh_token": held, "client_secret": ""}
    if "client_assertion" in credential:
        form["client_assertion_type"] = JWT_BEARER
    return post_token(tenant, form | credential)


def refused(answer: requests.Response) -> tuple[Any, ...]:
    """The code and text of a refusal."""
    return answer.status_code, answer.json()["error"], answer.json()["error_codes"]


def test_takes_the_secret_posted_or_in_a_header(tenant: SampleTenant, held: str) -> None:
    """RFC 6749, 2.3.1: both ways."""
    assert with_credential(tenant, held, client_secret=tenant.client_secret).status_code == 200
    form = {"grant_type": "refresh_token", "refresh_token": held}
    basic = requests.auth.HTTPBasicAuth(tenant.client_id, tenant.client_secret.replace("~", "%7E"))
    assert session(tenant).post(token_url(tenant), form, auth=basic).status_code == 200


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        ({}, (401, "invalid_client", [7000218])),
        ({"client_secret": "wrong"}, (401, "invalid_client", [7000215])),
        ({"client_id": "nobody", "client_secret": "x"}, (400, "unauthorized_client", [700016])),
        ({"client_id": ""}, (400, "invalid_request", [900144])),
        ({"client_assertion": "garbage"}, (401, "invalid_client", [50027])),
    ],
)
def test_refuses_who_is_not_the_client(
    tenant: SampleTenant, held: str, credential: dict[str, str], expected: tuple[Any, ...]
) -> None:
    """Missing, wrong, unknown and malformed credentials each have their code."""
    assert refused(with_credential(tenant, held, **credential)) == expected


@pytest.mark.parametrize(("state", "code"), [("expired", 7000222), ("wrong", 7000215)])
def test_a_secret_can_expire_or_be_replaced(web: WebApp, held: str, state: str, code: int) -> None:
    """The right one is refused too, and the refusal is the app's, not the person's."""
    web.tenant.change_app(web.tenant.client_id, secret_state=state)
    result = web.silent()
    assert (result["error"], result["error_codes"]) == ("invalid_client", [code])
    web.tenant.change_app(web.tenant.client_id, secret_state="valid")
    assert "access_token" in web.silent()


def test_an_app_removed_from_the_tenant_is_refused(web: WebApp, held: str) -> None:
    """At its authority, and for this tenant's people at a multi-tenant one."""
    web.tenant.change_app(web.tenant.client_id, removed_from_tenants=[CONTOSO.tid])
    assert web.silent()["error_codes"] == [700016]
    form = {"grant_type": "refresh_token", "refresh_token": held}
    assert refused(post_token(web.tenant, form, segment="common")) == (400, "unauthorized_client", [700016])


def test_public_clients_have_no_secret(tenant: SampleTenant) -> None:
    """Presenting one is refused."""
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": tenant.desktop_client_id}
    assert refused(post_token(tenant, form)) == (401, "invalid_client", [700025])


def test_application_permissions_are_not_to_be_had(web: WebApp) -> None:
    """The app acts only for people."""
    result = web.msal.acquire_token_for_client(["https://graph.microsoft.com/.default"])
    assert (result["error"], result["error_codes"]) == ("unauthorized_client", [70001])


def test_takes_a_certificate_from_msal(web: WebApp) -> None:
    """With the SHA-256 thumbprint (PS256) and with the SHA-1 one (RS256)."""
    made = web.tenant.make_certificate()
    key = {"private_key": made.private_key, "public_certificate": made.certificate}
    for credential in (key, {"private_key": made.private_key, "thumbprint": made.thumbprint}):
        app = WebApp(web.tenant, client_credential=credential)
        app.sign_in(BEN)
        assert "access_token" in app.silent()


def test_refuses_a_certificate_that_is_not_registered(web: WebApp, held: str) -> None:
    """It is accepted once registered."""
    made = ClientCertificate.make("stranger")
    web.options["client_credential"] = {"private_key": made.private_key, "public_certificate": made.certificate}
    assert web.silent()["error_codes"] == [700027]
    web.tenant.register_certificate(made.certificate)
    assert "access_token" in web.silent()


def _assertion(tenant: SampleTenant, made: ClientCertificate, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": tenant.client_id, "sub": tenant.client_id, "aud": token_url(tenant), "nbf": now, "exp": now + 600}
    kept = {name: value for name, value in (claims | changes).items() if value is not None}
    x5t = bytes.fromhex(made.thumbprint)
    header = {"x5t": jwt.utils.base64url_encode(x5t).decode()}
    return jwt.encode(kept, made.private_key, algorithm="RS256", headers=header)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": 1}, 700024),
        ({"nbf": int(time.time()) + 3600}, 700024),
        ({"exp": None}, 50027),
        ({"aud": "https://elsewhere.example"}, 700023),
        ({"iss": "somebody"}, 50027),
    ],
)
def test_refuses_evil_assertions(tenant: SampleTenant, held: str, changes: dict[str, Any], code: int) -> None:
    """They are signed with the right certificate, but their claims are wrong."""
    made = tenant.make_certificate()
    assert with_credential(tenant, held, client_assertion=_assertion(tenant, made)).status_code == 200
    evil = with_credential(tenant, held, client_assertion=_assertion(tenant, made, **changes))
    assert refused(evil) == (401, "invalid_client", [code])


def test_refuses_a_registered_thumbprint_with_another_key(tenant: SampleTenant, held: str) -> None:
    """The name of a certificate proves nothing."""
    made, other = tenant.make_certificate(), ClientCertificate.make("thief")
    stolen = ClientCertificate(other.private_key, made.certificate)
    answer = with_credential(tenant, held, client_assertion=_assertion(tenant, stolen))
    assert refused(answer) == (401, "invalid_client", [700027])


def test_takes_a_managed_identity(web: WebApp) -> None:
    """A federated credential, through MSAL, by a callable."""
    credential: dict[str, Callable[[], str]] = {"client_assertion": web.tenant.managed_identity_assertion}
    app = WebApp(web.tenant, client_credential=credential)
    app.sign_in(BEN)
    assert "access_token" in app.silent()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://evil.example"}, 700211),
        ({"sub": "somebody"}, 700213),
        ({"aud": "api://other"}, 700212),
        ({"exp": 1}, 700024),
    ],
)
def test_refuses_other_federated_identities(
    tenant: SampleTenant, held: str, changes: dict[str, Any], code: int
) -> None:
    """Issuer, subject, audience and time must be those of the registration."""
    answer = with_credential(tenant, held, client_assertion=tenant.managed_identity_assertion(**changes))
    assert refused(answer) == (401, "invalid_client", [code])


def test_offers_the_managed_identity_endpoint(tenant: SampleTenant, held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's own library gets an assertion from it that proves the app."""
    for name, value in tenant.managed_identity_environment().items():
        monkeypatch.setenv(name, value)
    with ManagedIdentityCredential() as identity:
        assertion = identity.get_token("api://AzureADTokenExchange/.default").token
    assert with_credential(tenant, held, client_assertion=assertion).status_code == 200
    url = tenant.managed_identity_environment()["IDENTITY_ENDPOINT"]
    assert session(tenant).get(url, headers={"X-IDENTITY-HEADER": "guess"}).status_code == 401
