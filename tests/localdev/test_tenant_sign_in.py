"""Signing in at the sample tenant, as MSAL and a browser see it."""

import base64
import json
from urllib.parse import urlencode

import pytest
import requests

from localdev.tenant import CONTOSO, FABRIKAM, OPERATOR_ROLE, SampleTenant, SignInRefused, Visitor
from tests.localdev.tenant_actors import (
    ADA,
    BEN,
    CALLBACK,
    GRETA,
    HUGO,
    WebApp,
    answer_in,
    claims_in,
    code_in,
    post_token,
    session,
)


def authorize(tenant: SampleTenant, *, segment: str = CONTOSO.tid, **changes: str) -> str:
    """An authorization URL without PKCE; "" leaves a parameter out."""
    wanted = {
        "client_id": tenant.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile offline_access User.Read",
        "state": "s1",
    } | changes
    query = urlencode({name: value for name, value in wanted.items() if value})
    return f"{tenant.page_url}/{segment}/oauth2/v2.0/authorize?{query}"


def test_signs_in_with_msal(web: WebApp) -> None:
    """MSAL accepts the whole answer: state, nonce, PKCE, id token, client_info."""
    result = web.sign_in(BEN)
    assert result["id_token_claims"]["preferred_username"] == BEN
    assert result["id_token_claims"]["iss"] == f"{web.tenant.authority}/v2.0"
    assert result["scope"].split() == ["User.Read", "openid", "profile"]
    assert result["expires_in"] == 3600


def test_gives_the_operator_a_role_and_nobody_else(web: WebApp) -> None:
    """The app role is in the id token of the one who has it."""
    assert web.sign_in(ADA)["id_token_claims"]["roles"] == [OPERATOR_ROLE]
    assert "roles" not in WebApp(web.tenant).sign_in(BEN)["id_token_claims"]


def test_shows_a_guest_as_object_of_the_tenant_and_account_of_their_home(web: WebApp) -> None:
    """oid and tid are the tenant's, uid and utid the home's, the username that of the home too."""
    result = web.sign_in(GRETA)
    claims, (account,) = result["id_token_claims"], web.msal.get_accounts()
    info = json.loads(base64.urlsafe_b64decode(result["client_info"] + "=="))
    assert claims["tid"] == CONTOSO.tid
    assert claims["preferred_username"] == GRETA
    assert info["utid"] == FABRIKAM.tid
    assert info["uid"] != claims["oid"]
    assert account["home_account_id"] == f"{info['uid']}.{info['utid']}"
    assert account["realm"] == CONTOSO.tid


@pytest.mark.parametrize("segment", ["common", "organizations"])
def test_signs_people_of_any_tenant_in_to_a_multi_tenant_authority(tenant: SampleTenant, segment: str) -> None:
    """Each gets tokens of their own home tenant."""
    web = WebApp(tenant, authority=tenant.authority_of(segment))
    claims = web.sign_in(HUGO)["id_token_claims"]
    assert claims["tid"] == FABRIKAM.tid
    assert claims["iss"] == tenant.authority_of(FABRIKAM.tid) + "/v2.0"
    assert WebApp(tenant, authority=tenant.authority_of(segment)).sign_in(BEN)["id_token_claims"]["tid"] == CONTOSO.tid


def test_takes_a_domain_for_a_tenant(tenant: SampleTenant) -> None:
    """The authority may name the tenant by its domain."""
    web = WebApp(tenant, authority=tenant.authority_of("contoso.example"))
    assert web.sign_in(BEN)["id_token_claims"]["tid"] == CONTOSO.tid


def test_keeps_strangers_out_of_a_tenant(web: WebApp) -> None:
    """Somebody of another tenant who is no guest is told so, on the page."""
    with pytest.raises(SignInRefused, match="AADSTS50034"):
        web.sign_in(HUGO)


def test_asks_for_consent_once(web: WebApp) -> None:
    """The first sign-in shows the permissions in words; the second goes straight back."""
    visitor = Visitor()
    page = visitor.http.get(authorize(web.tenant)).text
    assert "Ben Okafor" in page
    web.sign_in(BEN, visitor=visitor)
    again = visitor.http.get(authorize(web.tenant), allow_redirects=False)
    assert code_in(again.headers["Location"])
    more = visitor.http.get(authorize(web.tenant, scope="openid Calendars.Read"), allow_redirects=False)
    assert "Read your calendars" in more.text
    asked = visitor.http.get(authorize(web.tenant, prompt="consent"), allow_redirects=False)
    assert "Permissions requested" in asked.text


def test_cancelling_consent_returns_access_denied(tenant: SampleTenant) -> None:
    """As Entra words it, with the state, and without a code."""
    found = answer_in(Visitor().sign_in(authorize(tenant), BEN, accept=False))
    assert (found["error"], found["error_subcode"], found["state"]) == ("access_denied", "cancel", "s1")
    assert "AADSTS65004" in found["error_description"]
    assert "code" not in found


def test_a_signed_in_browser_needs_no_page(tenant: SampleTenant) -> None:
    """prompt=none works once somebody has signed in and consented."""
    visitor = Visitor()
    visitor.sign_in(authorize(tenant), BEN)
    silent = visitor.http.get(authorize(tenant, prompt="none"), allow_redirects=False)
    assert code_in(silent.headers["Location"])


def _silently(visitor: Visitor, url: str) -> dict[str, str]:
    return answer_in(visitor.http.get(url, allow_redirects=False).headers["Location"])


def test_prompt_none_says_what_is_missing(tenant: SampleTenant) -> None:
    """Nobody signed in, somebody else hinted, consent missing, a policy: each has its own error."""
    visitor = Visitor()
    assert _silently(visitor, authorize(tenant, prompt="none"))["error"] == "login_required"
    visitor.sign_in(authorize(tenant), BEN)
    assert _silently(visitor, authorize(tenant, prompt="none", login_hint=ADA))["error"] == "login_required"
    more = authorize(tenant, prompt="none", scope="openid Mail.Read")
    assert _silently(visitor, more)["error"] == "consent_required"
    tenant.change_person(BEN, state="require_mfa")
    refused = _silently(visitor, authorize(tenant, prompt="none"))
    assert refused["error"] == "interaction_required"
    assert "AADSTS50076" in refused["error_description"]


@pytest.mark.parametrize("prompt", ["login", "select_account"])
def test_prompt_shows_the_people_although_somebody_is_signed_in(tenant: SampleTenant, prompt: str) -> None:
    """Another account can be chosen."""
    visitor = Visitor()
    visitor.sign_in(authorize(tenant), BEN)
    page = visitor.http.get(authorize(tenant, prompt=prompt), allow_redirects=False)
    assert page.status_code == 200
    assert "Ada Lindqvist" in page.text


def test_a_login_hint_comes_first_and_fills_the_field(web: WebApp) -> None:
    """Given as a username, or packed as the id token's login_hint claim."""
    packed = web.sign_in(BEN)["id_token_claims"]["login_hint"]
    for hint in (BEN, packed):
        page = requests.get(authorize(web.tenant, login_hint=hint), timeout=5).text
        assert page.index("Ben Okafor") < page.index("Ada Lindqvist")
        assert f'value="{BEN}"' in page.partition("Or by username")[2]


def test_a_domain_hint_shows_that_organisation_only(tenant: SampleTenant) -> None:
    """As Entra skips the choice of an organisation."""
    page = requests.get(authorize(tenant, segment="common", domain_hint=FABRIKAM.domain), timeout=5).text
    assert "Hugo Martin" in page
    assert "Ben Okafor" not in page


def test_sign_out_forgets_the_browser_and_returns_to_the_app_only(tenant: SampleTenant) -> None:
    """The cookie goes; a foreign address to return to is ignored."""
    visitor = Visitor()
    visitor.sign_in(authorize(tenant), BEN)
    url = f"{tenant.page_url}/{CONTOSO.tid}/oauth2/v2.0/logout?post_logout_redirect_uri="
    foreign = visitor.http.get(url + "http://evil.example/", allow_redirects=False)
    assert foreign.status_code == 200
    home = visitor.http.get(url + "http://localhost:7071/", allow_redirects=False)
    assert home.headers["Location"] == "http://localhost:7071/"
    assert _silently(visitor, authorize(tenant, prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"redirect_uri": "http://evil.example/signin/callback"}, "AADSTS50011"),
        ({"redirect_uri": "http://localhost:7071/elsewhere"}, "AADSTS50011"),
        ({"redirect_uri": "http://localhost.evil.example/signin/callback"}, "AADSTS50011"),
        ({"redirect_uri": "http://localhost:7071@evil.example/signin/callback"}, "AADSTS50011"),
        ({"redirect_uri": ""}, "AADSTS900144"),
        ({"client_id": "nobody"}, "AADSTS700016"),
        ({"segment": "nowhere.example"}, "AADSTS90002"),
        ({"segment": "consumers"}, "AADSTS90002"),
    ],
)
def test_shows_an_error_instead_of_redirecting_to_a_stranger(
    tenant: SampleTenant, changes: dict[str, str], code: str
) -> None:
    """What is wrong with tenant, client or redirect URI is never sent to that URI."""
    page = requests.get(authorize(tenant, **changes), allow_redirects=False, timeout=5)
    assert page.status_code == 400
    assert code in page.text


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type", "AADSTS700054"),
        ({"response_mode": "fragment"}, "invalid_request", "AADSTS900144"),
        ({"scope": ""}, "invalid_request", "AADSTS900144"),
        ({"scope": "openid User.Raed"}, "invalid_client", "AADSTS650053"),
        ({"scope": "openid https://unknown.example/Read"}, "invalid_resource", "AADSTS500011"),
        ({"code_challenge": "abc", "code_challenge_method": "plain"}, "invalid_request", "AADSTS50147"),
        ({"code_challenge": "abc"}, "invalid_request", "AADSTS50147"),
        ({"claims": "no json"}, "invalid_request", "AADSTS70002"),
    ],
)
def test_redirects_with_an_error(tenant: SampleTenant, changes: dict[str, str], error: str, code: str) -> None:
    """A request that is wrong in itself goes back to the app, with its state."""
    found = _silently(Visitor(), authorize(tenant, **changes))
    assert (found["error"], found["state"]) == (error, "s1")
    assert code in found["error_description"]


def test_takes_any_port_of_localhost_and_configured_redirects() -> None:
    """http://localhost:<any>/signin/callback, what the constructor was given, and what `settings` registers."""
    with SampleTenant(redirect_uris=["https://app.example/cb"]) as tenant:
        tenant.settings("http://127.0.0.1:9000")
        for uri in (
            "http://localhost:1/signin/callback",
            "https://app.example/cb",
            "http://127.0.0.1:9000/signin/callback",
        ):
            assert Visitor().sign_in(authorize(tenant, redirect_uri=uri), BEN).startswith(uri + "?code=")


@pytest.mark.parametrize(("state", "code"), [("disabled", "AADSTS50057"), ("conditional_access", "AADSTS53003")])
def test_who_may_not_sign_in_is_told_so(web: WebApp, state: str, code: str) -> None:
    """Until an administrator lifts it."""
    web.tenant.change_person(BEN, state=state)
    with pytest.raises(SignInRefused, match=code):
        web.sign_in(BEN)
    web.tenant.change_person(BEN, state=None)
    assert web.sign_in(BEN)["access_token"]


def test_old_pages_and_forged_fields_lead_nowhere(tenant: SampleTenant) -> None:
    """A hidden field that the tenant did not seal is refused."""
    for path in ("choose", "consent"):
        answer = session(tenant).post(
            f"{tenant.page_url}/{path}", {"flow": "forged", "username": ADA, "answer": "accept"}
        )
        assert answer.status_code == 400
        assert "start again" in answer.text


def test_an_app_removed_from_a_tenant_is_unknown_there(tenant: SampleTenant) -> None:
    """The page says so; a multi-tenant authority still serves the others."""
    tenant.change_app(tenant.client_id, removed_from_tenants=[CONTOSO.tid])
    with pytest.raises(SignInRefused, match="AADSTS700016"):
        Visitor().sign_in(authorize(tenant), BEN)
    url = Visitor().sign_in(authorize(tenant, segment="common"), HUGO)
    form = {"grant_type": "authorization_code", "code": code_in(url), "redirect_uri": CALLBACK}
    assert post_token(tenant, form, segment="common").status_code == 200


def test_answers_by_query_too(tenant: SampleTenant) -> None:
    """response_mode=query redirects; the code is bound to the redirect URI it went to."""
    found = answer_in(Visitor().sign_in(authorize(tenant, response_mode="query"), BEN))
    assert found["state"] == "s1"
    assert found["session_state"]


def test_the_apps_own_api_has_a_scope_for_operators(web: WebApp) -> None:
    """A token carries every scope of its resource that the person has consented to, as Entra's do."""
    api = f"api://{web.tenant.client_id}"
    alone = claims_in(web.sign_in(BEN, f"{api}/Operators.Read")["access_token"])
    assert (alone["aud"], alone["scp"]) == (web.tenant.client_id, "Operators.Read")
    later = claims_in(web.sign_in(BEN, f"{api}/access_as_user")["access_token"])
    assert later["scp"] == "Operators.Read access_as_user"


def test_id_and_access_tokens_carry_what_readers_look_at(web: WebApp) -> None:
    """A version 1.0 token for Graph, a version 2.0 token for the app's own API."""
    result = web.sign_in(BEN)
    graph = claims_in(result["access_token"])
    assert (graph["aud"], graph["scp"], graph["ver"]) == ("https://graph.microsoft.com", "User.Read", "1.0")
    assert graph["appid"] == web.tenant.client_id
    assert graph["tid"] == CONTOSO.tid
    api = WebApp(web.tenant).sign_in(BEN, f"api://{web.tenant.client_id}/access_as_user")
    own = claims_in(api["access_token"])
    assert (own["aud"], own["scp"], own["ver"]) == (web.tenant.client_id, "access_as_user", "2.0")
    assert own["azp"] == web.tenant.client_id
    assert own["oid"] == graph["oid"]
    assert own["sub"] != graph["sub"]
