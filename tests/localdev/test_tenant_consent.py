"""Consent: to several resources at once, taken back in part, and where only an administrator may give it."""

from urllib.parse import urlencode

import pytest
import requests

from localdev.tenant import CONTOSO, FABRIKAM, SampleTenant, SignInRefused, Visitor
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
    desktop,
    post_token,
    refresh,
)

_GRAPH = "https://graph.microsoft.com"
_BACK = "http://localhost:7071/signin/admin-consent"


def _authorize(tenant: SampleTenant, scope: str, **more: str) -> str:
    wanted = {"client_id": tenant.client_id, "redirect_uri": CALLBACK, "response_type": "code", "scope": scope}
    return f"{tenant.page_url}/{CONTOSO.tid}/oauth2/v2.0/authorize?{urlencode(wanted | more)}"


def _both(tenant: SampleTenant) -> str:
    return f"openid offline_access User.Read {tenant.sample_api}/Items.ReadWrite"


def _redeem(tenant: SampleTenant, code: str, scope: str = "") -> requests.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "scope": scope}
    return post_token(tenant, form)


def test_one_page_asks_for_several_resources(tenant: SampleTenant) -> None:
    """Each scope in the words of its resource, also where two have one name."""
    visitor = Visitor()
    visitor.sign_in(_authorize(tenant, "openid Calendars.Read"), BEN)
    scope = f"openid User.Read {tenant.sample_api}/User.Read {tenant.sample_api}/Items.Read"
    page = visitor.http.get(_authorize(tenant, scope)).text
    assert "Read your profile<" in page
    assert "Read your profile at the sample API" in page
    assert "Read your items at the sample API" in page


def test_each_resource_is_redeemed_by_itself(tenant: SampleTenant) -> None:
    """The code for the first, its refresh token for the second; each token has its audience."""
    code = code_in(Visitor().sign_in(_authorize(tenant, _both(tenant)), BEN))
    first = _redeem(tenant, code, "openid offline_access User.Read").json()
    assert claims_in(first["access_token"])["aud"] == _GRAPH
    second = refresh(tenant, first["refresh_token"], scope=f"{tenant.sample_api}/.default").json()
    assert (claims_in(second["access_token"])["aud"], claims_in(second["access_token"])["scp"]) == (
        tenant.sample_api.removeprefix("api://"),
        "Items.ReadWrite",
    )
    assert f"{tenant.sample_api}/Items.ReadWrite" in second["scope"].split()


def test_msal_redeems_a_part_of_what_was_consented(web: WebApp) -> None:
    """And finds the other resource's token with the same account."""
    items = f"{web.tenant.sample_api}/Items.ReadWrite"
    flow = web.flow("User.Read", items)
    url = Visitor().sign_in(flow["auth_uri"], BEN)
    result = web.msal.acquire_token_by_auth_code_flow(flow, answer_in(url), scopes=["User.Read"])
    assert claims_in(result["access_token"])["scp"] == "User.Read"
    assert claims_in(web.silent(f"{web.tenant.sample_api}/.default")["access_token"])["scp"] == "Items.ReadWrite"


def test_two_resources_in_one_redemption_are_refused(tenant: SampleTenant) -> None:
    """AADSTS28000 for code and refresh token; AADSTS28003 when the scope is left out. Neither is used up by it."""
    code = code_in(Visitor().sign_in(_authorize(tenant, _both(tenant)), BEN))
    for scope, number in ((_both(tenant), 28000), ("", 28003)):
        refused = _redeem(tenant, code, scope).json()
        assert (refused["error"], refused["error_codes"]) == ("invalid_scope", [number])
    tenant.change_settings(rotation="strict")
    token = _redeem(tenant, code, "offline_access User.Read").json()["refresh_token"]
    assert refresh(tenant, token, scope=_both(tenant)).json()["error_codes"] == [28000]
    assert refresh(tenant, token).json()["error_codes"] == [28003]
    assert refresh(tenant, token, scope="User.Read").status_code == 200


def test_a_scope_belongs_to_its_resource(web: WebApp) -> None:
    """User.Read of the sample API gives nothing of Graph, and the other way round."""
    web.sign_in(BEN, f"{web.tenant.sample_api}/User.Read")
    assert web.silent("User.Read")["error_codes"] == [65001]
    assert web.silent(f"{_GRAPH}/.default")["error_codes"] == [65001]
    assert web.silent(f"{web.tenant.sample_api}/Items.Read")["error_codes"] == [65001]
    assert claims_in(web.silent(f"{web.tenant.sample_api}/.default")["access_token"])["scp"] == "User.Read"


@pytest.mark.parametrize("other", ["User.Read", "{api}/Items.Read", "{api}/.default"])
def test_default_stands_alone(web: WebApp, other: str) -> None:
    """AADSTS70011 beside any other resource's or named scope: when authorizing, redeeming and refreshing."""
    scope = f"openid {_GRAPH}/.default " + other.format(api=web.tenant.sample_api)
    found = answer_in(Visitor().http.get(_authorize(web.tenant, scope), allow_redirects=False).headers["Location"])
    assert found["error"] == "invalid_scope"
    assert "AADSTS70011" in found["error_description"]
    web.sign_in(BEN)
    assert refresh(web.tenant, web.refresh_token(), scope=scope).json()["error_codes"] == [70011]
    code = code_in(Visitor().sign_in(_authorize(web.tenant, "openid User.Read"), BEN))
    assert _redeem(web.tenant, code, scope).json()["error_codes"] == [70011]


def test_default_answers_what_is_left_after_a_withdrawal(web: WebApp) -> None:
    """The other permissions go on; the withdrawn one, asked for by name, needs a new consent."""
    web.sign_in(BEN, "User.Read", "Mail.Read", "Mail.Send")
    web.tenant.withdraw_consent(BEN, "Mail.Send")
    left = web.silent(f"{_GRAPH}/.default")
    assert claims_in(left["access_token"])["scp"] == "Mail.Read User.Read"
    assert "Mail.Send" not in left["scope"]
    assert web.silent("Mail.Send")["suberror"] == "consent_required"
    assert "access_token" in web.silent("User.Read")
    web.tenant.withdraw_consent(BEN, "Mail.Read User.Read")
    assert web.silent(f"{_GRAPH}/.default")["error_codes"] == [65001]


def test_a_withdrawal_concerns_one_person_and_one_resource(web: WebApp) -> None:
    """Ada keeps hers; Ben keeps the scope of the same name elsewhere."""
    scopes = ("User.Read", f"{web.tenant.sample_api}/User.Read")
    ada = WebApp(web.tenant)
    for app, username in ((web, BEN), (ada, ADA)):
        for scope in scopes:
            app.sign_in(username, scope)
    web.tenant.withdraw_consent(BEN, "User.Read")
    assert web.silent("User.Read")["error_codes"] == [65001]
    assert "access_token" in web.silent(scopes[1])
    assert "access_token" in ada.silent("User.Read")


@pytest.mark.parametrize(("policy", "number"), [("administrators", 90094), ("on_request", 90095)])
def test_a_tenant_may_want_an_administrator(tenant: SampleTenant, policy: str, number: int) -> None:
    """The page says so and offers only the way back, which tells the app; accepting by force gives nothing."""
    tenant.change_tenant("contoso.example", consent=policy)
    visitor = Visitor()
    for accept in (True, False):
        found = answer_in(visitor.sign_in(_authorize(tenant, "openid User.Read", state="s1"), BEN, accept=accept))
        assert (found["error"], found["error_subcode"], found["state"]) == ("access_denied", "cancel", "s1")
        assert f"AADSTS{number}" in found["error_description"]
    page = visitor.http.get(_authorize(tenant, "openid User.Read")).text
    assert "Need admin approval" in page
    assert f"AADSTS{number}" in page
    assert 'value="accept"' not in page


def test_the_administrator_and_those_who_consented_are_not_stopped(tenant: SampleTenant) -> None:
    """Nor people of another tenant."""
    tenant_wide = WebApp(tenant, authority=tenant.authority_of("common"))
    visitor = Visitor()
    WebApp(tenant).sign_in(BEN, visitor=visitor)
    tenant.change_tenant(CONTOSO.tid, consent="administrators")
    assert "access_token" in WebApp(tenant).sign_in(BEN, visitor=visitor)
    assert "access_token" in WebApp(tenant).sign_in(ADA)
    assert "access_token" in tenant_wide.sign_in(HUGO)
    more = answer_in(visitor.sign_in(_authorize(tenant, "openid Mail.Read"), BEN))
    assert "AADSTS90094" in more["error_description"]


def test_prompting_for_consent_needs_an_administrator_even_if_nothing_is_missing(tenant: SampleTenant) -> None:
    """prompt=consent asks those who may not give it; without it Ben gets in."""
    visitor = Visitor()
    visitor.sign_in(_authorize(tenant, "openid User.Read"), BEN)
    tenant.change_tenant(CONTOSO.tid, consent="administrators")
    prompted = answer_in(visitor.sign_in(_authorize(tenant, "openid User.Read", prompt="consent"), BEN))
    assert "AADSTS90094" in prompted["error_description"]
    assert code_in(visitor.sign_in(_authorize(tenant, "openid User.Read"), BEN))


def test_a_device_is_refused_where_an_administrator_is_wanted(tenant: SampleTenant) -> None:
    """On the page of the device code."""
    tenant.change_tenant(CONTOSO.tid, consent="administrators")
    flow = desktop(tenant).initiate_device_flow(["User.Read"])
    with pytest.raises(SignInRefused, match="AADSTS90094"):
        Visitor().allow_device(flow["verification_uri"], flow["user_code"], BEN)


def _ask(tenant: SampleTenant, *, segment: str = CONTOSO.tid, **changes: str) -> str:
    wanted = {
        "client_id": tenant.client_id,
        "redirect_uri": _BACK,
        "scope": f"{_GRAPH}/User.Read {tenant.sample_api}/Items.ReadWrite",
        "state": "s1",
    } | changes
    return f"{tenant.page_url}/{segment}/v2.0/adminconsent?{urlencode(wanted)}"


def test_an_administrator_consents_for_everybody(tenant: SampleTenant) -> None:
    """The answer names the tenant; then nobody there is asked, and no single person can take it back."""
    tenant.change_tenant(CONTOSO.tid, consent="administrators")
    url = Visitor().sign_in(_ask(tenant), ADA)
    assert url.startswith(f"{_BACK}?admin_consent=True&tenant={CONTOSO.tid}&state=s1")
    assert answer_in(url)["scope"] == f"{_GRAPH}/User.Read {tenant.sample_api}/Items.ReadWrite"
    ben = WebApp(tenant)
    assert "access_token" in ben.sign_in(BEN)
    assert "access_token" in ben.silent(f"{tenant.sample_api}/Items.ReadWrite")
    tenant.withdraw_consent(BEN, "User.Read")
    assert "access_token" in ben.silent()
    assert "access_token" in WebApp(tenant).sign_in(GRETA)  # a guest there
    more = answer_in(Visitor().sign_in(_authorize(tenant, "openid Mail.Read"), BEN))
    assert "AADSTS90094" in more["error_description"]


def test_an_administrator_s_consent_is_for_their_tenant(tenant: SampleTenant) -> None:
    """Also through `organizations`: Hugo's tenant has not consented."""
    url = Visitor().sign_in(_ask(tenant, segment="organizations"), ADA)
    assert answer_in(url)["tenant"] == CONTOSO.tid
    tenant.change_tenant(FABRIKAM.tid, consent="administrators")
    hugo = WebApp(tenant, authority=tenant.authority_of("organizations"))
    flow = hugo.flow("User.Read")
    assert "AADSTS90094" in answer_in(Visitor().sign_in(flow["auth_uri"], HUGO))["error_description"]


def test_declining_for_everybody_is_told_to_the_app(tenant: SampleTenant) -> None:
    """As an error that belongs to an administrator's consent; nothing is granted."""
    found = answer_in(Visitor().sign_in(_ask(tenant), ADA, accept=False))
    assert (found["error"], found["admin_consent"], found["tenant"]) == ("consent_required", "True", CONTOSO.tid)
    assert "AADSTS65004" in found["error_description"]
    tenant.change_tenant(CONTOSO.tid, consent="administrators")
    refused = answer_in(Visitor().sign_in(_authorize(tenant, "User.Read"), BEN))
    assert "AADSTS90094" in refused["error_description"]


@pytest.mark.parametrize("username", [BEN, HUGO, "ines@fabrikam.example"])
def test_only_the_tenant_s_administrator_may_consent_for_it(tenant: SampleTenant, username: str) -> None:
    """Neither a colleague nor another tenant's administrator."""
    with pytest.raises(SignInRefused, match="AADSTS90093"):
        Visitor().sign_in(_ask(tenant), username)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"redirect_uri": "http://evil.example/"}, "AADSTS50011"),
        ({"client_id": "nobody"}, "AADSTS700016"),
        ({"scope": ""}, "AADSTS900144"),
        ({"scope": f"{_GRAPH}/User.Raed"}, "AADSTS650053"),
        ({"segment": "nowhere.example"}, "AADSTS90002"),
    ],
)
def test_a_wrong_request_for_everybody_stays_on_the_page(
    tenant: SampleTenant, changes: dict[str, str], code: str
) -> None:
    """Nothing is sent to an address that is not the app's."""
    answer = requests.get(_ask(tenant, **changes), allow_redirects=False, timeout=5)
    assert answer.status_code == 400
    assert code in answer.text


def test_forged_pages_for_everybody_lead_nowhere(tenant: SampleTenant) -> None:
    """A field that the tenant did not seal, and one sealed before an administrator was chosen."""
    http = requests.Session()
    page = http.get(_ask(tenant)).text
    flow = page.partition('name="flow" value="')[2].partition('"')[0]
    for path, field in (("choose", "forged"), ("answer", "forged"), ("answer", flow)):
        form = {"flow": field, "username": ADA, "answer": "accept"}
        answer = http.post(f"{tenant.page_url}/adminconsent/{path}", form)
        assert (answer.status_code, "start again" in answer.text) == (400, True)
