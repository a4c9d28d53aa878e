"""A token cache never holds two access tokens that cover the same scopes: MSAL would go on handing out the older."""

import json
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

import pytest

from localdev.tenant import SampleTenant, Visitor
from shared.accounts import Account
from shared.clients.graph import Graph
from shared.services import Services
from shared.web.graph_calls import call_graph
from tests.running_app import Clock
from tests.support import sign_in, stored
from timer_worker.sweep import Sweep

MakeServices = Callable[..., Services]
ADA = "ada@contoso.example"
CALLS, SWEEPS = 10, 4


@pytest.fixture
def clock() -> Clock:
    """Time that the test moves; the tenant's and MSAL's stay where they are."""
    return Clock()


@pytest.fixture
def app(make_services: MakeServices, clock: Clock) -> Services:
    """The app with its own scopes."""
    return make_services(clock=clock, SCOPES="User.Read")


def consent_to_more(make_services: MakeServices) -> None:
    """The same person agrees to more, through another sign-in that their row knows nothing of."""
    more = make_services(SCOPES="User.Read Calendars.Read")
    url, flow = more.identity.begin_sign_in()
    callback = Visitor().sign_in(url, ADA)
    signed_in = more.identity.finish_sign_in(flow, dict(parse_qsl(urlsplit(callback).query)))
    assert "Calendars.Read" in signed_in.scopes


def access_tokens(app: Services, account: Account) -> list[str]:
    """The scopes of each access token in the stored cache."""
    row = stored(app, account)
    cache = json.loads(app.settings.key_ring.open_cache(row.sealed_cache, row.account_id))
    return [entry["target"] for entry in cache["AccessToken"].values()]


def test_after_a_claims_challenge_one_call_is_refused_and_no_more(
    app: Services, make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """Ten calls of /me: one 401 and one token request. The older token would be refused each time."""
    sample_tenant.change_settings(access_token_lifetime=3600)
    account = sign_in(app)
    consent_to_more(make_services)
    sample_tenant.change_person(ADA, state="continuous_access")
    redeemed = sample_tenant.log()["refresh_tokens_redeemed"]
    for _ in range(CALLS):
        assert call_graph(stored(app, account), app, Graph.me)["displayName"]
    log = sample_tenant.log()
    assert log["refresh_tokens_redeemed"] - redeemed == 1
    assert log["graph"]["by_status"] == {"200": CALLS, "401": 1}
    assert len(access_tokens(app, account)) == 1


def test_a_token_that_was_renewed_early_is_the_one_that_is_used(
    app: Services, make_services: MakeServices, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """After `refresh_in` the first sweep redeems; later sweeps and calls use what it got."""
    sample_tenant.change_settings(access_token_lifetime=3600, refresh_in=0)
    account = sign_in(app)
    sample_tenant.change_settings(refresh_in=None)
    consent_to_more(make_services)
    redeemed = [sample_tenant.log()["refresh_tokens_redeemed"]]
    for _ in range(SWEEPS):
        clock.move(hours=2)
        assert Sweep(app, tasks=()).run(app.store.slots()) is not None
        redeemed.append(sample_tenant.log()["refresh_tokens_redeemed"])
    assert [later - earlier for earlier, later in pairwise(redeemed)] == [1, 0, 0, 0]
    for _ in range(CALLS):
        call_graph(stored(app, account), app, Graph.me)
    assert sample_tenant.log()["refresh_tokens_redeemed"] == redeemed[-1]
    assert len(access_tokens(app, account)) == 1
