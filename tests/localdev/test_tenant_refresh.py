"""Refreshing: scopes, rotation, lifetimes."""

import msal
import pytest

from localdev.tenant import CONTOSO, FABRIKAM, SampleTenant
from tests.localdev.tenant_actors import ADA, BEN, GRETA, Clock, WebApp, claims_in, post_token, refresh


@pytest.fixture
def ben(web: WebApp) -> WebApp:
    """The web app, with Ben signed in."""
    web.sign_in(BEN)
    return web


def test_msal_refreshes_silently(ben: WebApp) -> None:
    """A new access token each time; the id token still belongs to the same account."""
    first, second = ben.silent(), ben.silent()
    assert first["token_source"] == second["token_source"] == "identity_provider"
    assert first["access_token"] != second["access_token"]
    assert len(ben.msal.get_accounts()) == 1
    assert ben.tenant.log()["refresh_tokens_redeemed"] == 2
    assert ben.silent(force_refresh=False)["token_source"] == "cache"


def test_every_token_is_unlike_every_other(ben: WebApp) -> None:
    """Even two of the same second."""
    tokens = [refresh(ben.tenant, ben.refresh_token()).json() for _ in range(3)]
    assert len({each["access_token"] for each in tokens} | {each["refresh_token"] for each in tokens}) == 6
    assert len({claims_in(each["access_token"])["uti"] for each in tokens}) == 3


def test_answers_with_everything_consented_on_the_resource(web: WebApp) -> None:
    """As Entra: asked for one, told of both."""
    web.sign_in(BEN, "User.Read", "Calendars.Read")
    assert web.silent("User.Read")["scope"].split()[:2] == ["Calendars.Read", "User.Read"]
    assert claims_in(web.silent("User.Read")["access_token"])["scp"] == "Calendars.Read User.Read"


def test_a_scope_without_consent_needs_a_page(ben: WebApp) -> None:
    """invalid_grant with suberror consent_required; nothing is rotated by it."""
    refused = ben.silent("Mail.Read")
    assert (refused["error"], refused["suberror"], refused["error_codes"]) == (
        "invalid_grant",
        "consent_required",
        [65001],
    )
    assert "access_token" in ben.silent()


def test_the_audience_follows_the_resource_asked_for(web: WebApp) -> None:
    """A national cloud's Graph: its own audience, its own spelling in the answer."""
    scope = "https://graph.microsoft.us/User.Read"
    result = web.sign_in(BEN, scope)
    assert claims_in(result["access_token"])["aud"] == "https://graph.microsoft.us"
    assert scope in result["scope"].split()
    assert "access_token" in web.silent(scope)
    assert web.silent("User.Read")["suberror"] == "consent_required"


def test_default_means_what_was_consented(ben: WebApp) -> None:
    """The .default scope gives the app's permissions and says so."""
    scope = "https://graph.microsoft.com/.default"
    result = ben.silent(scope)
    assert {scope, "https://graph.microsoft.com/User.Read"} <= set(result["scope"].split())


def test_one_token_is_for_one_resource(ben: WebApp) -> None:
    """Two resources in a token request are refused."""
    both = f"User.Read api://{ben.tenant.client_id}/access_as_user"
    body = refresh(ben.tenant, ben.refresh_token(), scope=both).json()
    assert (body["error"], body["error_codes"]) == ("invalid_scope", [28000])


def test_reusable_tokens_stay_good(ben: WebApp) -> None:
    """As Entra's: each redemption gives a new one, the old one still works."""
    old = ben.refresh_token()
    new = refresh(ben.tenant, old).json()["refresh_token"]
    assert new != old
    assert refresh(ben.tenant, old).status_code == 200
    assert refresh(ben.tenant, new).status_code == 200
    assert ben.tenant.log()["families_revoked"] == 0


def test_strict_rotation_revokes_the_family_on_reuse(ben: WebApp) -> None:
    """A second use ends the newest token too; another sign-in of the same person is not touched."""
    other = WebApp(ben.tenant)
    other.sign_in(BEN)
    ben.tenant.change_settings(rotation="strict")
    old = ben.refresh_token()
    new = refresh(ben.tenant, old).json()["refresh_token"]
    reused = refresh(ben.tenant, old)
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    assert refresh(ben.tenant, new).json()["error"] == "invalid_grant"
    log = ben.tenant.log()
    assert (log["families_revoked"], log["by_person"][BEN]["families_revoked"]) == (1, 1)
    assert "access_token" in other.silent()


def test_strict_rotation_goes_on_with_the_newest(ben: WebApp) -> None:
    """One after the other, each once."""
    ben.tenant.change_settings(rotation="strict")
    assert all("access_token" in ben.silent() for _ in range(4))
    assert ben.tenant.log()["families_revoked"] == 0


def test_a_refusal_does_not_rotate(ben: WebApp) -> None:
    """Under strict rotation too, a token that was refused for another reason is still unused."""
    ben.tenant.change_settings(rotation="strict")
    token = ben.refresh_token()
    assert refresh(ben.tenant, token, scope="Mail.Read").status_code == 400
    assert refresh(ben.tenant, token).status_code == 200


def test_ninety_idle_days_end_it(ben: WebApp, clock: Clock) -> None:
    """And a refresh on the eighty-ninth starts them anew."""
    clock.ahead = 89 * 86400
    newer = refresh(ben.tenant, ben.refresh_token()).json()["refresh_token"]
    clock.ahead = 91 * 86400
    old = refresh(ben.tenant, ben.refresh_token()).json()
    assert (old["error"], old["error_codes"]) == ("invalid_grant", [700082])
    assert refresh(ben.tenant, newer).status_code == 200


def test_belongs_to_one_client(ben: WebApp) -> None:
    """The desktop client can't use the web app's refresh token, nor the plain provider Entra's."""
    token = ben.refresh_token()
    other = refresh(ben.tenant, token, client_id=ben.tenant.desktop_client_id, client_secret="")
    assert other.json()["error_codes"] == [70000]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert post_token(ben.tenant, form, segment="oidc").json()["error"] == "invalid_grant"
    assert refresh(ben.tenant, "garbage").json()["error_codes"] == [9002313]


def test_a_guest_is_refreshed_in_the_tenant_that_the_authority_names(web: WebApp) -> None:
    """Contoso's authority gives Contoso's tokens, Fabrikam's gives Fabrikam's once consented there."""
    web.sign_in(GRETA)
    assert claims_in(refresh(web.tenant, web.refresh_token()).json()["access_token"])["tid"] == CONTOSO.tid
    form = {"grant_type": "refresh_token", "refresh_token": web.refresh_token()}
    assert post_token(web.tenant, form, segment=FABRIKAM.tid).json()["error_codes"] == [65001]
    WebApp(web.tenant, authority=web.tenant.authority_of(FABRIKAM.tid)).sign_in(GRETA)
    at_home = post_token(web.tenant, form, segment=FABRIKAM.tid).json()
    assert claims_in(at_home["access_token"])["tid"] == FABRIKAM.tid


def test_nobody_is_refreshed_in_a_foreign_tenant(ben: WebApp) -> None:
    """Who has no object there is refused."""
    form = {"grant_type": "refresh_token", "refresh_token": ben.refresh_token()}
    assert post_token(ben.tenant, form, segment=FABRIKAM.tid).json()["error_codes"] == [50020]


def test_settings_shape_the_answer(ben: WebApp) -> None:
    """Lifetime, refresh_in, and an id token left out as some providers do."""
    ben.tenant.change_settings(access_token_lifetime=90, refresh_in=45, id_token_on_refresh=False)
    body = refresh(ben.tenant, ben.refresh_token(), scope="openid User.Read").json()
    claims = claims_in(body["access_token"])
    assert (body["expires_in"], body["refresh_in"], claims["exp"] - claims["iat"]) == (90, 45, 90)
    assert "id_token" not in body


def test_a_skewed_clock_shows_in_the_tokens(ben: WebApp) -> None:
    """The tenant's idea of the time is ten minutes behind."""
    before = claims_in(refresh(ben.tenant, ben.refresh_token()).json()["access_token"])["iat"]
    ben.tenant.change_settings(clock_skew=-600)
    after = claims_in(refresh(ben.tenant, ben.refresh_token()).json()["access_token"])["iat"]
    assert -600 <= after - before < -590


def test_two_people_have_two_accounts(web: WebApp) -> None:
    """Nothing of one reaches the other."""
    web.sign_in(BEN)
    web.sign_in(ADA)
    assert {each["username"] for each in web.msal.get_accounts()} == {ADA, BEN}
    found = web.cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN)
    assert len({each["home_account_id"] for each in found}) == 2


def test_a_wrong_setting_changes_nothing(tenant: SampleTenant) -> None:
    """All values are taken over, or none."""
    with pytest.raises(ValueError, match="rotation"):
        tenant.change_settings(latency=5, rotation="sideways")
    assert tenant.change_settings()["latency"] == 0
