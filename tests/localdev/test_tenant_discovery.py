"""Metadata, and the plain OpenID provider beside the tenants."""

import jwt
import pytest

from localdev.tenant import CONTOSO, SampleTenant, Visitor
from tests.localdev.tenant_actors import (
    BEN,
    CALLBACK,
    GRETA,
    WebApp,
    claims_in,
    graph_get,
    post_token,
    refresh,
    session,
)


@pytest.mark.parametrize(
    ("segment", "name", "shown"),
    [
        (CONTOSO.tid, CONTOSO.tid, CONTOSO.tid),
        ("contoso.example", CONTOSO.tid, CONTOSO.tid),
        ("common", "common", "{tenantid}"),
        ("organizations", "organizations", "{tenantid}"),
    ],
)
def test_describes_each_authority(tenant: SampleTenant, segment: str, name: str, shown: str) -> None:
    """Endpoints of programs are https, those of browsers http; the issuer is a template for many tenants."""
    url = tenant.authority_of(segment) + "/v2.0/.well-known/openid-configuration"
    found = session(tenant).get(url).json()
    assert found["issuer"] == tenant.authority_of(shown) + "/v2.0"
    assert found["token_endpoint"] == tenant.authority_of(name) + "/oauth2/v2.0/token"
    assert found["authorization_endpoint"] == f"{tenant.page_url}/{name}/oauth2/v2.0/authorize"
    assert found["jwks_uri"] == tenant.authority_of(name) + "/discovery/v2.0/keys"


@pytest.mark.parametrize("segment", ["nowhere.example", "consumers"])
def test_does_not_know_other_tenants(tenant: SampleTenant, segment: str) -> None:
    """At discovery, for keys and at the token endpoint."""
    base = tenant.authority_of(segment)
    for path in ("/v2.0/.well-known/openid-configuration", "/discovery/v2.0/keys"):
        answer = session(tenant).get(base + path)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_tenant")
    answer = post_token(tenant, {"grant_type": "refresh_token"}, segment=segment)
    assert answer.json()["error_codes"] == [90002]


def test_msal_says_that_the_tenant_is_wrong(tenant: SampleTenant) -> None:
    """It can't even begin."""
    with pytest.raises(ValueError, match="nowhere"):
        WebApp(tenant, authority=tenant.authority_of("nowhere.example")).flow()


def test_the_published_keys_check_the_tokens(web: WebApp) -> None:
    """By key id, RS256, with issuer and audience."""
    result = web.sign_in(BEN)
    keys = session(web.tenant).get(web.tenant.authority + "/discovery/v2.0/keys").json()
    token, own = result["id_token"], jwt.PyJWKSet.from_dict(keys)
    key = own[jwt.get_unverified_header(token)["kid"]]
    issuer = web.tenant.authority + "/v2.0"
    assert jwt.decode(token, key, algorithms=["RS256"], audience=web.tenant.client_id, issuer=issuer)["oid"]
    assert keys["keys"][0]["issuer"] == issuer


def test_is_its_only_instance(tenant: SampleTenant) -> None:
    """For clients that insist on asking."""
    found = session(tenant).get(tenant.authority_of("common") + "/discovery/instance?api-version=1.1").json()
    assert found["metadata"][0]["aliases"] == [tenant.authority_of("").removeprefix("https://").rstrip("/")]


@pytest.fixture
def plain(tenant: SampleTenant) -> WebApp:
    """The web app, told of the plain OpenID provider only."""
    return WebApp(tenant, oidc_authority=tenant.oidc_authority)


def test_the_plain_provider_knows_a_subject_only(plain: WebApp) -> None:
    """No client_info, no oid, no tid; offline_access is in the scope as others have it."""
    result = plain.sign_in(GRETA)
    claims = result["id_token_claims"]
    assert claims["iss"] == plain.tenant.oidc_authority
    assert claims["sub"]
    assert not {"oid", "tid", "roles"} & claims.keys()
    assert "client_info" not in result
    assert "offline_access" in result["scope"].split()
    assert graph_get(plain.tenant, "/me", result["access_token"]).json()["mail"] == GRETA


def test_the_plain_provider_refreshes_with_and_without_an_id_token(plain: WebApp) -> None:
    """The same subject; left out when told so."""
    subject = plain.sign_in(BEN)["id_token_claims"]["sub"]
    form = {"grant_type": "refresh_token", "refresh_token": plain.refresh_token(), "scope": "openid User.Read"}
    body = post_token(plain.tenant, form, segment="oidc").json()
    assert claims_in(body["id_token"])["sub"] == subject
    assert "access_token" in plain.silent()
    plain.tenant.change_settings(id_token_on_refresh=False)
    assert "id_token" not in post_token(plain.tenant, form, segment="oidc").json()


def test_the_plain_provider_words_errors_plainly(plain: WebApp) -> None:
    """RFC 6749: error and error_description, no AADSTS."""
    form = {"grant_type": "refresh_token", "refresh_token": "garbage"}
    answer = post_token(plain.tenant, form, segment="oidc")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json().keys() == {"error", "error_description"}
    assert "AADSTS" not in answer.text


def test_the_two_providers_do_not_take_each_others_tokens(plain: WebApp) -> None:
    """A refresh token of the plain one is nothing to a tenant."""
    plain.sign_in(BEN)
    assert refresh(plain.tenant, plain.refresh_token()).json()["error_codes"] == [70000]


def test_strict_rotation_is_for_the_plain_provider_too(plain: WebApp) -> None:
    """A second use ends the family."""
    plain.sign_in(BEN)
    plain.tenant.change_settings(rotation="strict")
    form = {"grant_type": "refresh_token", "refresh_token": plain.refresh_token()}
    newer = post_token(plain.tenant, form, segment="oidc").json()["refresh_token"]
    assert post_token(plain.tenant, form, segment="oidc").status_code == 400
    assert post_token(plain.tenant, form | {"refresh_token": newer}, segment="oidc").status_code == 400


def test_the_plain_providers_pages_work_alike(plain: WebApp) -> None:
    """Cancel, and sign out."""
    flow = plain.flow()
    visitor = Visitor()
    assert "access_denied" in visitor.sign_in(flow["auth_uri"], BEN, accept=False)
    url = f"{plain.tenant.page_url}/oidc/logout?post_logout_redirect_uri={CALLBACK}"
    assert visitor.http.get(url, allow_redirects=False).headers["Location"] == CALLBACK
