"""What happens to people: each state's exact refusal, and how they come back."""

import json
from typing import Any

import pytest

from localdev.tenant import SampleTenant, Visitor
from tests.localdev.tenant_actors import ADA, BEN, WebApp

NEEDS_SIGN_IN = [
    ("require_mfa", 50076, "basic_action"),
    ("mfa_enrolment", 50079, "basic_action"),
    ("revoked", 50173, "bad_token"),
    ("expired", 70043, "token_expired"),
    ("inactive", 700082, "token_expired"),
    ("consent_withdrawn", 65001, "consent_required"),
]
STANDING = [("disabled", 50057, "bad_token"), ("conditional_access", 53003, "message_only")]


@pytest.fixture
def ben(web: WebApp) -> WebApp:
    """The web app, with Ben signed in."""
    web.sign_in(BEN)
    return web


def told(result: dict[str, Any]) -> tuple[Any, ...]:
    """What MSAL reports of a refusal."""
    return result["error"], result["error_codes"], result["suberror"]


@pytest.mark.parametrize(("state", "code", "suberror"), NEEDS_SIGN_IN + STANDING)
def test_each_state_refuses_in_its_own_words(ben: WebApp, state: str, code: int, suberror: str) -> None:
    """Error, AADSTS code and suberror are right, and other people are not affected."""
    ada = WebApp(ben.tenant)
    ada.sign_in(ADA)
    ben.tenant.change_person(BEN, state=state)
    refused = ben.silent()
    assert told(refused) == ("invalid_grant", [code], suberror)
    assert refused["error_description"].startswith(f"AADSTS{code}: ")
    assert "access_token" in ada.silent()
    log = ben.tenant.log()
    assert log["refused"] == 1
    assert log["refusals"][0] | {"at": 0} == {"code": code, "grant": "refresh_token", "username": BEN, "at": 0}


@pytest.mark.parametrize(("state", "code", "suberror"), NEEDS_SIGN_IN)
def test_a_sign_in_by_hand_mends_it(ben: WebApp, state: str, code: int, suberror: str) -> None:
    """The new refresh token works, and the state is gone."""
    ben.tenant.change_person(BEN, state=state)
    assert told(ben.silent()) == ("invalid_grant", [code], suberror)
    ben.sign_in(BEN)
    assert "access_token" in ben.silent()
    assert next(each for each in ben.tenant.people() if each["username"] == BEN)["state"] is None


@pytest.mark.parametrize("state", ["require_mfa", "revoked", "expired"])
def test_the_old_grant_stays_refused_after_a_new_sign_in(ben: WebApp, state: str) -> None:
    """Coming back in one browser does not revive what was issued before."""
    ben.tenant.change_person(BEN, state=state)
    WebApp(ben.tenant).sign_in(BEN)
    assert ben.silent()["error"] == "invalid_grant"


@pytest.mark.parametrize(("state", "code", "suberror"), NEEDS_SIGN_IN[:5] + STANDING)
def test_null_undoes_a_state(ben: WebApp, state: str, code: int, suberror: str) -> None:
    """As though it had not happened: the same refresh token works again."""
    ben.tenant.change_person(BEN, state=state)
    assert told(ben.silent()) == ("invalid_grant", [code], suberror)
    ben.tenant.change_person(BEN, state=None)
    assert "access_token" in ben.silent()


def test_only_grants_from_before_a_revocation_are_refused(ben: WebApp) -> None:
    """This holds even when no time passes in between."""
    ben.tenant.change_person(BEN, state="revoked")
    ben.sign_in(BEN)
    assert "access_token" in ben.silent()
    ben.tenant.change_person(BEN, state="revoked")
    assert ben.silent()["error_codes"] == [50173]


def test_policies_send_claims_to_sign_in_with(ben: WebApp) -> None:
    """A refusal by policy names the claims that the next sign-in must bring."""
    ben.tenant.change_person(BEN, state="require_mfa")
    assert "capolids" in json.loads(ben.silent()["claims"])["access_token"]


def test_a_revocation_ends_the_browsers_session_too(ben: WebApp) -> None:
    """The person must choose their account again."""
    visitor = Visitor()
    ben.sign_in(BEN, visitor=visitor)
    ben.tenant.change_person(BEN, state="revoked")
    page = visitor.http.get(ben.flow()["auth_uri"], allow_redirects=False)
    assert page.status_code == 200
    assert "Sign in" in page.text


def test_withdrawn_consent_is_asked_for_again(ben: WebApp) -> None:
    """The page with the permissions comes back, although the browser is still signed in."""
    visitor = Visitor()
    ben.sign_in(BEN, visitor=visitor)
    ben.tenant.change_person(BEN, state="consent_withdrawn")
    page = visitor.http.get(ben.flow()["auth_uri"], allow_redirects=False)
    assert "Permissions requested" in page.text


def test_roles_and_profile_can_be_changed(tenant: SampleTenant, web: WebApp) -> None:
    """The next sign-in shows them."""
    tenant.change_person(BEN, roles=["Understudy.Operator"], profile={"jobTitle": "Chief"})
    assert web.sign_in(BEN)["id_token_claims"]["roles"] == ["Understudy.Operator"]
    assert next(each for each in tenant.people() if each["username"] == BEN)["profile"]["jobTitle"] == "Chief"


@pytest.mark.parametrize("changes", [{"state": "bored"}, {"mood": "bad"}])
def test_unknown_changes_are_refused(tenant: SampleTenant, changes: dict[str, Any]) -> None:
    """A typing error must not count as a state."""
    with pytest.raises(ValueError, match="state"):
        tenant.change_person(BEN, **changes)


def test_more_people_can_be_added(tenant: SampleTenant, web: WebApp) -> None:
    """New people sign in like the others."""
    tenant.add_person("zoe@contoso.example", "Zoe Quist", job_title="Pilot")
    assert web.sign_in("zoe@contoso.example")["id_token_claims"]["name"] == "Zoe Quist"
