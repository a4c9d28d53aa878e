"""What an exchange may write, on real parts: it never overwrites a newer cache and never restores a withdrawn row."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import Account, Lease, Outcome, Source, State
from shared.errors import SignInFailed
from shared.identity import BearerTokens, Caller, SignedIn
from shared.services import Services
from tests.localdev.tenant_actors import WebApp
from tests.web_api.api_client import api_token
from web_api.on_behalf_of import acquire_token

ADA, BEN = "ada@contoso.example", "ben@contoso.example"
MakeServices = Callable[..., Services]


def caller(app: Services, tenant: SampleTenant, username: str = BEN) -> Caller:
    """A caller with a checked token."""
    return BearerTokens(app.settings, app.identity.verifier).authenticate(f"Bearer {api_token(tenant, username)}")


def exchanged(app: Services, who: Caller) -> SignedIn:
    """What came of their token."""
    signed_in = app.identity.exchange_token(who.person, who.token).signed_in
    assert signed_in is not None
    return signed_in


def stored(app: Services, who: Caller) -> Account:
    """Their row."""
    account = app.store.get(who.person.account_id)
    assert account is not None
    return account


def test_an_exchange_is_kept_like_a_sign_in(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The account has its source, is due when the person is away, and the slot's hint covers it."""
    app = make_services()
    who = caller(app, sample_tenant)
    account = app.enrolment.save_exchange(exchanged(app, who), None)
    assert account is not None
    assert (account.source, account.state, account.scopes) == (Source.ON_BEHALF_OF, State.ACTIVE, ("User.Read",))
    assert account.due_at == app.lifecycle.absent_from(account.last_activity)
    hint = next(slot for slot in app.store.slots() if slot.name == account.slot)
    assert hint.next_due_at <= account.due_at
    assert account.home_account_id
    assert who.token not in repr(who)


def test_a_newer_cache_is_not_overwritten(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """A browser sign-in was saved during the exchange."""
    app = make_services()
    who = caller(app, sample_tenant)
    mine = exchanged(app, who)
    theirs = app.enrolment.save_sign_in(replace(mine, token_cache=mine.token_cache + " "))
    assert app.enrolment.save_exchange(mine, None) == theirs
    assert stored(app, who).source is Source.SIGN_IN


def test_a_row_without_a_usable_token_gets_a_new_one(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """This also holds when the row was only touched in between. The person's own data stays."""
    app = make_services()
    who = caller(app, sample_tenant)
    before = app.enrolment.save_sign_in(exchanged(app, who))
    aside = app.store.save(replace(before, state=State.NEEDS_SIGN_IN, extra={"team": "blue"}))
    app.store.touch(replace(aside, last_activity=app.now()))
    after = app.enrolment.save_exchange(exchanged(app, who), aside)
    assert after is not None
    assert (after.state, after.extra) == (State.ACTIVE, {"team": "blue"})
    assert after.session_generation == before.session_generation
    assert after.cache_version == before.cache_version + 1


def test_a_withdrawn_row_is_not_brought_back(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The row was deleted between the read and the save."""
    app = make_services()
    who = caller(app, sample_tenant)
    before = app.enrolment.save_sign_in(exchanged(app, who))
    app.store.delete(before.account_id)
    assert app.enrolment.save_exchange(exchanged(app, who), before) is None
    assert app.store.get(before.account_id) is None


def test_a_withdrawal_while_a_call_waits_stands(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """Another request redeems for this person, who withdraws before it is done. The call is answered, and
    nothing is stored."""
    sample_tenant.change_settings(access_token_lifetime=30)
    app = make_services()
    who = caller(app, sample_tenant)
    before = app.enrolment.save_sign_in(exchanged(app, who))
    app.store.touch(replace(before, lease=Lease("another", app.now() + timedelta(seconds=30))))

    def withdraws(_: float) -> None:
        app.store.delete(before.account_id)

    app.wait = withdraws
    token, account = acquire_token(who, app)
    assert token
    assert account is None
    assert app.store.get(before.account_id) is None


def test_an_answer_for_somebody_else_is_refused(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """Ben's token never becomes Ada's row."""
    app = make_services()
    ada, ben = caller(app, sample_tenant, ADA), caller(app, sample_tenant, BEN)
    with pytest.raises(SignInFailed) as refused:
        app.identity.exchange_token(ada.person, ben.token)
    assert refused.value.code == "other_person"


def test_a_throttled_exchange_says_when_to_come_back(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """Its verdict has the tenant's Retry-After, and nothing is stored."""
    app = make_services()
    who = caller(app, sample_tenant)
    sample_tenant.add_fault("token", "throttle", retry_after=7, times=1)
    result = app.identity.exchange_token(who.person, who.token)
    assert result.signed_in is None
    assert (result.acquired.verdict.outcome, result.acquired.verdict.retry_after) == (Outcome.THROTTLED, 7)


def test_a_browsers_and_a_callers_key_are_the_same(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """This holds for a guest too: the bearer token has the id token's oid and tid."""
    app = make_services()
    greta = "greta@fabrikam.example"
    claims = WebApp(sample_tenant).sign_in(greta)["id_token_claims"]
    assert caller(app, sample_tenant, greta).person.account_id == f"{claims['oid']}.{claims['tid']}"
