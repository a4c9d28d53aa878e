"""GET and DELETE /api/profile on real parts: exchange once, one row per person, swept like everybody, withdrawn."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from localdev.tenant import FABRIKAM
from shared.accounts import Source, State
from tests.running_app import RunningApp
from tests.web_api.api_client import api_token, call, challenge_in, claims_json, problem_in

BEN, CHIARA, GRETA = "ben@contoso.example", "chiara@contoso.example", "greta@fabrikam.example"


def test_a_first_call_enrols_the_person_and_later_ones_use_what_is_stored(app: RunningApp) -> None:
    """One exchange however many calls; the answer is Graph's profile and how the background work stands."""
    app.tenant.change_settings(access_token_lifetime=3600)
    token = api_token(app.tenant, BEN)
    answers = [call(app, token) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 200]
    assert answers[0].json()["profile"]["mail"] == BEN
    assert answers[2].json()["background"] == {
        "state": "active",
        "source": "on_behalf_of",
        "lastSweptAt": None,
        "scopes": ["User.Read"],
    }
    log = app.tenant.log()
    assert (log["on_behalf_of_redeemed"], log["refresh_tokens_redeemed"]) == (1, 0)
    (account,) = app.accounts()
    assert (account.source, account.state, account.username) == (Source.ON_BEHALF_OF, State.ACTIVE, BEN)


def test_an_expired_graph_token_is_refreshed_not_exchanged(app: RunningApp) -> None:
    """The stored refresh token serves; a later call with another token of the same person exchanges nothing."""
    assert call(app, api_token(app.tenant, BEN)).status_code == 200
    assert call(app, api_token(app.tenant, BEN)).status_code == 200
    log = app.tenant.log()
    assert (log["on_behalf_of_redeemed"], log["refresh_tokens_redeemed"]) == (1, 1)


def test_the_sweep_acts_for_a_caller_who_went_away(app: RunningApp) -> None:
    """The account is due like a sign-in's, and its task runs."""
    call(app, api_token(app.tenant, BEN))
    assert app.counts() == {}
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}
    account = app.account_of(BEN)
    assert account is not None
    assert account.last_swept_at is not None
    assert account.task_state


def test_a_browser_sign_in_and_a_caller_are_one_row(app: RunningApp) -> None:
    """The API uses the sign-in's tokens, leaves its source, and its session lives on."""
    browser = app.browser()
    browser.sign_in(BEN)
    assert call(app, api_token(app.tenant, BEN)).status_code == 200
    (account,) = app.accounts()
    assert account.source is Source.SIGN_IN
    assert app.tenant.log()["on_behalf_of_redeemed"] == 0
    assert browser.get("/me").status_code == 200


def test_a_caller_who_signs_in_later_keeps_the_row_and_the_sessions(app: RunningApp) -> None:
    """The sign-in replaces the tokens; SessionGeneration stays."""
    call(app, api_token(app.tenant, BEN))
    before = app.account_of(BEN)
    browser = app.browser()
    browser.sign_in(BEN)
    (after,) = app.accounts()
    assert before is not None
    assert after.session_generation == before.session_generation != ""
    assert after.source is Source.SIGN_IN
    assert browser.get("/me").status_code == 200


def test_a_guest_has_one_row_in_the_tenant_they_visit(app: RunningApp) -> None:
    """By the token's oid and tid, whatever MSAL's home account says."""
    app.browser().sign_in(GRETA)
    assert call(app, api_token(app.tenant, GRETA)).json()["profile"]["mail"] == GRETA
    (account,) = app.accounts()
    assert account.tenant_id == app.tenant.tenant_id


def test_a_guest_of_a_multi_tenant_app_stays_where_their_token_is_from(
    start_app: Callable[..., RunningApp],
) -> None:
    """The exchange, and every refresh after it, happens in that tenant and not in the guest's home."""
    tenant = start_app().tenant
    app = start_app(AUTHORITY=tenant.authority_of("organizations"))
    token = api_token(tenant, GRETA)
    assert call(app, token).status_code == 200
    assert call(app, token).status_code == 200
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}
    (account,) = app.accounts()
    assert (account.tenant_id, account.home_account_id.split(".")[1]) == (tenant.tenant_id, FABRIKAM.tid)
    cache = json.loads(app.services.settings.key_ring.open_cache(account.sealed_cache, account.account_id))
    assert {each["realm"] for each in cache["AccessToken"].values()} == {tenant.tenant_id}


def test_many_calls_at_once_for_somebody_new_end_as_one_row(app: RunningApp) -> None:
    """Everybody gets an answer, the row is whole, and the sweep can use it."""
    token = api_token(app.tenant, BEN)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: call(app, token).status_code, range(16)))
    assert answers == [200] * 16
    (account,) = app.accounts()
    assert account.cache_version >= 1
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}


def test_somebody_set_aside_comes_back_by_calling(app: RunningApp) -> None:
    """Their new token is exchanged: what is stored is of no use any more."""
    call(app, api_token(app.tenant, BEN))
    app.tenant.change_person(BEN, state="revoked")
    app.clock.move(minutes=6)
    assert app.counts() == {"sign_in_required": 1}
    answer = call(app, api_token(app.tenant, BEN))
    assert answer.status_code == 200
    assert answer.json()["background"]["state"] == "active"
    account = app.account_of(BEN)
    assert account is not None
    assert (account.state, account.failure) == (State.ACTIVE, None)


def test_an_unreadable_row_is_mended_by_a_call(start_app: Callable[..., RunningApp], new_key: str) -> None:
    """Its key is gone; the exchange stores a new cache."""
    call(start_app(), api_token(start_app().tenant, BEN))
    app = start_app(ENCRYPTION_KEYS=new_key)
    assert call(app, api_token(app.tenant, BEN)).status_code == 200
    assert app.tenant.log()["on_behalf_of_redeemed"] == 2
    (account,) = app.accounts()
    assert account.state is State.ACTIVE


def test_delete_removes_the_row_and_ends_sessions_and_sweeps(app: RunningApp) -> None:
    """Nothing more is done in their name, and asking again is fine."""
    browser = app.browser()
    browser.sign_in(BEN)
    token = api_token(app.tenant, BEN)
    assert call(app, token, "DELETE").status_code == 204
    assert app.accounts() == []
    assert browser.get("/me").status_code == 401
    app.clock.move(hours=2)
    assert app.counts() == {}
    again = call(app, token, "DELETE")
    assert (again.status_code, again.content) == (204, b"")


def test_delete_touches_nobody_else(app: RunningApp) -> None:
    """Chiara's row stays."""
    call(app, api_token(app.tenant, CHIARA))
    call(app, api_token(app.tenant, BEN), "DELETE")
    assert [each.username for each in app.accounts()] == [CHIARA]


def test_delete_needs_a_good_token(app: RunningApp) -> None:
    """A session's cookie is not enough, so no other site can have it sent."""
    browser = app.browser()
    browser.sign_in(BEN)
    refused = browser.http.delete(f"{app.url}/api/profile")
    assert refused.status_code == 401
    assert len(app.accounts()) == 1


def test_a_second_factor_is_passed_on_as_a_claims_challenge(app: RunningApp) -> None:
    """401 insufficient_claims with Entra's own claims; nothing is stored."""
    token = api_token(app.tenant, BEN)
    app.tenant.change_person(BEN, state="require_mfa")
    refused = call(app, token)
    assert refused.status_code == 401
    challenge = challenge_in(refused)
    assert challenge["error"] == "insufficient_claims"
    assert "capolids" in json.loads(claims_json(challenge["claims"]))["access_token"]
    assert challenge["authorization_uri"].startswith(app.tenant.authority)
    problem = problem_in(refused)
    assert (problem["code"], problem["title"]) == ("interaction_required", "The person has to sign in")
    assert problem["reference"]
    assert app.accounts() == []
    assert call(app, api_token(app.tenant, BEN)).status_code == 200


def test_missing_consent_is_answered_by_the_scope_that_asks_for_everything(app: RunningApp) -> None:
    """403 insufficient_scope; as soon as the person agreed, the very same token works."""
    token = api_token(app.tenant, BEN)
    app.tenant.change_person(BEN, state="consent_withdrawn")
    refused = call(app, token)
    assert refused.status_code == 403
    challenge = challenge_in(refused)
    assert challenge["error"] == "insufficient_scope"
    assert challenge["scope"] == f"api://{app.tenant.client_id}/.default"
    assert problem_in(refused)["code"] == "consent_required"
    api_token(app.tenant, BEN)  # signs in, and agrees
    assert call(app, token).status_code == 200


@pytest.mark.parametrize(
    ("state", "error", "extra"),
    [
        ("revoked", "invalid_token", {}),
        ("disabled", "invalid_token", {}),
        ("expired", "insufficient_user_authentication", {"max_age": "0"}),
    ],
)
def test_other_ends_say_what_kind_of_token_would_do(
    app: RunningApp, state: str, error: str, extra: dict[str, str]
) -> None:
    """A new one, or one from a fresh sign-in (RFC 9470)."""
    token = api_token(app.tenant, BEN)
    app.tenant.change_person(BEN, state=state)
    refused = call(app, token)
    challenge = challenge_in(refused)
    assert (refused.status_code, challenge["error"]) == (401, error)
    assert {name: challenge.get(name) for name in extra} == extra


def test_continuous_access_evaluation_is_met_or_passed_on(app: RunningApp) -> None:
    """Graph challenges a cached token: a refresh with the claims helps, or else the client hears of it."""
    app.tenant.change_settings(access_token_lifetime=3600)
    token = api_token(app.tenant, BEN)
    assert call(app, token).status_code == 200
    app.tenant.change_person(BEN, state="continuous_access")
    assert call(app, token).status_code == 200
    app.tenant.change_person(BEN, state="require_mfa", continuous_access=True)
    refused = call(app, token)
    assert refused.status_code == 401
    assert challenge_in(refused)["error"] == "insufficient_claims"


@pytest.mark.parametrize("kind", ["throttle", "status"])
def test_a_failing_tenant_is_nobodys_fault(app: RunningApp, kind: str) -> None:
    """503 with Retry-After; nothing is stored, and the next call works."""
    token = api_token(app.tenant, BEN)
    app.tenant.add_fault("token", kind, status=429 if kind == "throttle" else 500, times=1)
    failed = call(app, token)
    assert failed.status_code == 503
    assert int(failed.headers["Retry-After"]) > 0
    assert problem_in(failed)["code"] == "identity_provider"
    assert app.accounts() == []
    assert call(app, token).status_code == 200


def test_a_wrong_secret_is_the_operators(app: RunningApp) -> None:
    """500: no client can mend it."""
    token = api_token(app.tenant, BEN)
    app.tenant.change_app(app.tenant.client_id, secret_state="expired")
    try:
        failed = call(app, token)
    finally:
        app.tenant.change_app(app.tenant.client_id, secret_state="valid")
    assert (failed.status_code, problem_in(failed)["code"]) == (500, "misconfigured")


def test_a_plain_openid_provider_has_no_api(start_app: Callable[..., RunningApp]) -> None:
    """501 that says what is needed."""
    tenant = start_app().tenant
    app = start_app(AUTHORITY="", OIDC_AUTHORITY=tenant.oidc_authority)
    assert problem_in(call(app, "x.y.z"))["code"] == "needs_entra"


def test_the_api_works_with_both_forms_of_the_scope_setting(start_app: Callable[..., RunningApp]) -> None:
    """Clients write it in full, tokens carry its name."""
    client_id = start_app().tenant.client_id
    app = start_app(API_SCOPE=f"api://{client_id}/access_as_user")
    assert call(app, api_token(app.tenant, BEN)).status_code == 200


def test_settings_that_need_attention_are_said(start_app: Callable[..., RunningApp]) -> None:
    """The API answers with a problem too."""
    app = start_app(CLIENT_ID="")
    answer = call(app, "x.y.z", Origin="https://app.contoso.example")
    assert (answer.status_code, problem_in(answer)["code"]) == (500, "settings")
