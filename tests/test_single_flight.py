"""A refresh token is redeemed once, however many requests need it: threads, two instances, browser and sweep."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import REQUEST_LEASE, Account, Lease, State
from shared.errors import NotSignedIn, SignInRequired, TryLater, Unreadable
from shared.identity.access import Access
from shared.services import Services
from shared.store import MemoryAccountStore
from shared.sweep_queue import due_slots
from tests.running_app import Clock, RunningApp
from tests.support import ADA, MakeServices, keys_of, sign_in, stored, wait_until
from timer_worker.sweep import Sweep


def two_apps(make_services: MakeServices, **changes: Any) -> tuple[Services, Services]:
    """Two instances of the app on one storage account."""
    keys = keys_of(make_services)
    first, second = (make_services(ENCRYPTION_KEYS=keys, **changes) for _ in range(2))
    return first, second


def test_requests_at_once_on_two_instances_redeem_once(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """One request takes the lease. The others wait, read again and find the fresh token."""
    apps = two_apps(make_services)
    sample_tenant.change_settings(access_token_lifetime=30)
    account = sign_in(apps[0])
    sample_tenant.change_settings(access_token_lifetime=3600, rotation="strict", latency=0.1)
    together = threading.Barrier(8)

    def ask(number: int) -> str:
        together.wait()
        app = apps[number % 2]
        return app.access.acquire_token(stored(app, account))

    with ThreadPoolExecutor(8) as threads:
        tokens = set(threads.map(ask, range(8)))
    log = sample_tenant.log()
    assert (log["refresh_tokens_redeemed"], log["families_revoked"], log["refused"]) == (1, 0, 0)
    assert len(tokens) == 1
    after = stored(apps[0], account)
    assert (after.state, after.lease, after.cache_version) == (State.ACTIVE, None, account.cache_version + 1)


def test_steady_state_costs_no_storage_call(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The caller's one read is enough. Nothing is written while token and activity are recent."""
    sample_tenant.change_settings(access_token_lifetime=3600)
    app = make_services()
    account = sign_in(app)
    assert app.access.acquire_token(account)
    assert stored(app, account) == account
    assert stored(app, account).etag == account.etag


def test_strict_sweep_and_browser_redeem_once(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The sweep leases its page, and a request at that time waits for its result."""
    clock = Clock()
    sample_tenant.change_settings(access_token_lifetime=3600, rotation="strict", latency=0.3)
    keys = keys_of(make_services)
    sweeping = make_services(clock=clock, ENCRYPTION_KEYS=keys, REFRESH_TOKEN_ROTATION="strict")
    browsing = make_services(clock=clock, ENCRYPTION_KEYS=keys, REFRESH_TOKEN_ROTATION="strict")
    sample_tenant.change_settings(access_token_lifetime=30)
    account = sign_in(sweeping)
    sample_tenant.change_settings(access_token_lifetime=3600)
    clock.move(minutes=6)
    with ThreadPoolExecutor(1) as thread:
        swept = thread.submit(lambda: Sweep(sweeping, tasks=()).run(due_slots(sweeping.store, clock())))
        tokens = {browsing.access.acquire_token(stored(browsing, account)) for _ in range(3)}
        record = swept.result()
    log = sample_tenant.log()
    assert (log["refresh_tokens_redeemed"], log["families_revoked"]) == (1, 0)
    assert len(tokens) == 1
    assert record is not None
    assert set(record.counts) <= {"fresh", "cached", "conflict"}


def test_sweep_leaves_a_leased_person_alone_when_rotation_is_strict(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """Another process redeems for them now, and they stay due."""
    clock = Clock()
    app = make_services(clock=clock, REFRESH_TOKEN_ROTATION="strict")
    account = sign_in(app)
    clock.move(minutes=6)
    leased = app.store.touch(replace(account, lease=Lease("other", clock() + timedelta(seconds=30))))
    record = Sweep(app, tasks=()).run(due_slots(app.store, clock()))
    assert record is not None
    assert record.counts == {}
    assert stored(app, account) == leased
    clock.move(minutes=1)
    record = Sweep(app, tasks=()).run(due_slots(app.store, clock()))
    assert record is not None
    assert record.counts == {"fresh": 1}
    assert sample_tenant.log()["refresh_tokens_redeemed"] == 1


def waiting(app: Services, wait: Callable[[float], None]) -> Access:
    """The app's access, with this function for waiting."""
    app.wait = wait
    return app.access


def test_a_lease_whose_owner_died_runs_out(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """A request waits some seconds and must try again. When the lease has ended, the next request redeems."""
    clock = Clock()
    sample_tenant.change_settings(access_token_lifetime=30)
    app = make_services(clock=clock)
    account = sign_in(app)
    leased = app.store.touch(replace(account, lease=Lease("dead", clock() + REQUEST_LEASE)))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.move(seconds=seconds)

    with pytest.raises(TryLater, match="busy"):
        waiting(app, wait).acquire_token(leased)
    assert sum(waits) < REQUEST_LEASE.total_seconds()
    clock.move(seconds=REQUEST_LEASE.total_seconds())
    assert waiting(app, wait).acquire_token(leased)


def test_waiting_ends_when_the_person_signs_out(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The row is gone and is not restored."""
    sample_tenant.change_settings(access_token_lifetime=30)
    app = make_services()
    account = sign_in(app)
    leased = app.store.touch(replace(account, lease=Lease("other", app.now() + REQUEST_LEASE)))

    def sign_out(_: float) -> None:
        app.store.delete(account.account_id)

    with pytest.raises(NotSignedIn):
        waiting(app, sign_out).acquire_token(leased)
    assert app.store.get(account.account_id) is None


def test_sign_out_while_redeeming_is_not_undone(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The answer comes after the row was deleted. The new tokens are dropped and the row is not restored."""
    app = make_services()
    account = sign_in(app)
    sample_tenant.change_settings(latency=0.5)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(app.access.acquire_token, account)
        wait_until(lambda: stored(app, account).lease is not None, "the request takes the lease")
        app.store.delete(account.account_id)
        with pytest.raises(NotSignedIn):
            asked.result()
    assert app.store.get(account.account_id) is None


def test_new_sign_in_while_redeeming_is_not_overwritten(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """The newer cache stays, and the request still gets its token."""
    app = make_services()
    account = sign_in(app)
    sample_tenant.change_settings(latency=0.5)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(app.access.acquire_token, account)
        wait_until(lambda: stored(app, account).lease is not None, "the request takes the lease")
        newer = sign_in(app)
        assert asked.result()
    assert stored(app, account).sealed_cache == newer.sealed_cache


def test_refusal_on_a_request_sets_aside_and_says_why(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """A request finds out what a sweep would, and the tenant is not asked again."""
    app = make_services()
    account = sign_in(app)
    sample_tenant.change_person(ADA, state="revoked")
    with pytest.raises(SignInRequired, match="50173"):
        app.access.acquire_token(account)
    after = stored(app, account)
    assert after.state is State.NEEDS_SIGN_IN
    with pytest.raises(SignInRequired, match="50173"):
        app.access.acquire_token(after)
    assert sample_tenant.log()["refused"] == 1


def test_trouble_on_a_request_touches_nobody_and_frees_the_lease(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """After a 503 from the tenant the person tries later, and the next request need not wait for the lease to end."""
    app = make_services()
    account = sign_in(app)
    sample_tenant.add_fault("token", "status", status=503, times=1)
    with pytest.raises(TryLater, match="http_503"):
        app.access.acquire_token(account)
    after = stored(app, account)
    assert (after.state, after.failure, after.lease) == (State.ACTIVE, None, None)
    assert app.access.acquire_token(after)


def test_a_visit_leaves_the_lease_of_whoever_redeems(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """It finds a cached token, and writes when the person was here. The lease is somebody else's."""
    clock = Clock()
    sample_tenant.change_settings(access_token_lifetime=3600)
    app = make_services(clock=clock)
    account = sign_in(app)
    clock.move(minutes=3)
    leased = app.store.touch(replace(account, lease=Lease("other", clock() + REQUEST_LEASE)))
    assert app.access.acquire_token(leased)
    after = stored(app, account)
    assert after.last_activity > account.last_activity
    assert after.lease == leased.lease


@pytest.mark.parametrize("broken", ["unreadable", "no refresh token"])
def test_a_request_that_fails_leaves_the_lease_of_whoever_redeems(
    make_services: MakeServices, sample_tenant: SampleTenant, broken: str
) -> None:
    """Its token cache can't be read, or has nothing to redeem. It needs no lease to find that out."""
    sample_tenant.change_settings(access_token_lifetime=30)
    app = make_services()
    account = sign_in(app)
    ring = app.settings.key_ring
    empty = ring.seal_cache("{}", account.account_id)
    cache = b"nonsense" if broken == "unreadable" else empty
    lease = Lease("other", app.lease_clock() + REQUEST_LEASE)
    leased = app.store.save(replace(account, sealed_cache=cache, lease=lease))
    with pytest.raises((Unreadable, SignInRequired)):
        app.access.acquire_token(leased)
    assert stored(app, account).lease == lease


def test_visits_during_a_claims_challenge_cost_no_family(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """While one request redeems with the claims, visits write when the person was here, and others wait with the same
    challenge: on two instances, with strict rotation."""
    clock = Clock()
    sample_tenant.change_settings(access_token_lifetime=3600, rotation="strict")
    apps = two_apps(make_services, clock=clock, REFRESH_TOKEN_ROTATION="strict")
    account = sign_in(apps[0])
    clock.move(minutes=3)
    sample_tenant.change_settings(latency=0.4)
    claims = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(apps[0].access.acquire_token, account, claims=claims)
        wait_until(lambda: stored(apps[0], account).lease is not None, "the first request has the lease")
        apps[1].access.acquire_token(stored(apps[1], account))
        others = [threads.submit(app.access.acquire_token, stored(app, account), claims=claims) for app in apps]
        tokens = {first.result(), *(each.result() for each in others)}
    log = sample_tenant.log()
    assert (log["refresh_tokens_redeemed"], log["families_revoked"], len(tokens)) == (1, 0, 1)
    assert stored(apps[0], account).lease is None


def test_a_cached_token_after_a_failed_refresh_frees_the_lease(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """The token is to be refreshed early, the tenant fails, and MSAL hands out the old one, which is still valid."""
    sample_tenant.change_settings(access_token_lifetime=3600, refresh_in=0)
    app = make_services()
    account = sign_in(app)
    sample_tenant.add_fault("token", "status", status=503, times=1)
    assert app.access.acquire_token(account)
    assert sample_tenant.log()["refresh_tokens_redeemed"] == 0
    assert stored(app, account).lease is None


def test_a_lease_is_freed_on_a_row_that_changed_meanwhile(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """The tenant fails, and somebody has touched the row since the lease was taken."""
    sample_tenant.change_settings(access_token_lifetime=30)
    app = make_services()
    account = sign_in(app)
    sample_tenant.change_settings(latency=0.4)
    sample_tenant.add_fault("token", "status", status=503, times=1)
    later = account.due_at + timedelta(hours=1)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(app.access.acquire_token, account)
        wait_until(lambda: stored(app, account).lease is not None, "the request takes the lease")
        app.store.touch(replace(stored(app, account), due_at=later))
        with pytest.raises(TryLater):
            asked.result()
    after = stored(app, account)
    assert (after.lease, after.due_at) == (None, later)


def test_whoever_must_wait_gets_the_cached_token_while_it_is_good(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """It has three minutes left, and MSAL would have renewed it. Somebody else does that. After a challenge it is no
    longer good."""
    sample_tenant.change_settings(access_token_lifetime=200)
    app = make_services()
    account = aged(app, sign_in(app))
    leased = app.store.touch(replace(account, lease=Lease("other", app.lease_clock() + REQUEST_LEASE)))
    waits: list[float] = []
    access = waiting(app, waits.append)
    assert access.acquire_token(leased)
    assert waits == []
    assert stored(app, account).lease == leased.lease
    with pytest.raises(TryLater, match="busy"):
        access.acquire_token(leased, claims="{}")
    assert sample_tenant.log()["refresh_tokens_redeemed"] == 0


def aged(app: Services, account: Account) -> Account:
    """The stored account, with access tokens that were valid for an hour more."""
    cache = json.loads(app.settings.key_ring.open_cache(account.sealed_cache, account.account_id))
    for token in cache["AccessToken"].values():
        token["cached_at"] = str(int(token["cached_at"]) - 3600)
    return app.store.save(
        replace(account, sealed_cache=app.settings.key_ring.seal_cache(json.dumps(cache), account.account_id))
    )


@pytest.mark.parametrize("seconds", [0.1, 0.4, 1.5, 6.0])
def test_a_request_waits_little_longer_than_the_redemption_takes(
    make_services: MakeServices, sample_tenant: SampleTenant, seconds: float
) -> None:
    """It looks again soon, and more rarely the longer it takes: a quarter longer, plus a twentieth of a second."""
    sample_tenant.change_settings(access_token_lifetime=30)
    app = make_services()
    account = sign_in(app)
    sample_tenant.change_settings(access_token_lifetime=3600)
    leased = app.store.touch(replace(account, lease=Lease("other", app.lease_clock() + REQUEST_LEASE)))
    other = app.identity.acquisition(leased)
    assert other.prepare()
    other.send()
    renewed = replace(other.complete().renewed(leased), lease=None)
    waits: list[float] = []

    def wait(pause: float) -> None:
        if sum(waits) < seconds <= sum(waits) + pause:
            app.store.save(renewed)
        waits.append(pause)

    assert waiting(app, wait).acquire_token(leased)
    assert seconds <= sum(waits) <= 1.25 * seconds + 0.05
    assert sample_tenant.log()["refresh_tokens_redeemed"] == 1


def test_a_lease_that_ran_out_while_the_tokens_were_saved_is_told(
    make_services: MakeServices, sample_tenant: SampleTenant, caplog: pytest.LogCaptureFixture
) -> None:
    """The storage took longer than a lease lasts. Somebody else may have redeemed the old token meanwhile."""
    sample_tenant.change_settings(access_token_lifetime=30)
    clock = Clock()

    class SlowStore(MemoryAccountStore):
        def save(self, account: Account) -> Account:
            if account.cache_version > first:
                clock.move(seconds=REQUEST_LEASE.total_seconds() + 7)
            return super().save(account)

    first = 1 << 40
    app = make_services(clock=clock, store=SlowStore())
    account = sign_in(app)
    first = account.cache_version
    assert app.access.acquire_token(account)
    assert "a lease was over for 7 s before new tokens were saved" in caplog.text


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_host_whose_clock_is_wrong_steals_no_lease_and_gives_none_away(
    make_services: MakeServices, sample_tenant: SampleTenant, minutes: int
) -> None:
    """Two hosts' clocks are five minutes apart. Leases have the storage's time."""
    sample_tenant.change_settings(access_token_lifetime=30, rotation="strict")
    wrong = Clock(timedelta(minutes=minutes))
    keys = keys_of(make_services)
    strict = {"ENCRYPTION_KEYS": keys, "REFRESH_TOKEN_ROTATION": "strict"}
    hosts = [make_services(clock=clock, lease_clock=None, **strict) for clock in (Clock(), wrong)]
    account = sign_in(hosts[0])
    sample_tenant.change_settings(access_token_lifetime=3600, latency=0.4)
    for first, second in (hosts, hosts[::-1]):
        known = stored(first, account)
        with ThreadPoolExecutor(2) as threads:
            claims = '{"access_token":{}}'
            asked = threads.submit(first.access.acquire_token, known, claims=claims)
            wait_until(lambda: stored(hosts[0], account).lease is not None, "the first host has the lease")
            waited = second.access.acquire_token(stored(second, account), claims=claims)
            assert waited == asked.result()
    log = sample_tenant.log()
    assert (log["refresh_tokens_redeemed"], log["families_revoked"]) == (2, 0)


@pytest.mark.parametrize("rotation", ["reusable", "strict"])
def test_a_token_answer_that_is_lost_costs_the_sign_in_where_rotation_is_strict(
    make_services: MakeServices, sample_tenant: SampleTenant, rotation: str
) -> None:
    """The tenant has redeemed the token, and we have the old one only. docs/reliability.md says so."""
    sample_tenant.change_settings(access_token_lifetime=30, rotation=rotation)
    app = make_services(REFRESH_TOKEN_ROTATION=rotation)
    account = sign_in(app)
    sample_tenant.add_fault("token", "truncated", times=1)
    with pytest.raises(TryLater, match="unparsable"):
        app.access.acquire_token(account)
    if rotation == "strict":
        with pytest.raises(SignInRequired):
            app.access.acquire_token(stored(app, account))
    else:
        assert app.access.acquire_token(stored(app, account))
    assert sample_tenant.log()["families_revoked"] == (1 if rotation == "strict" else 0)


def test_whoever_waited_is_told_of_the_refusal_and_asks_nobody_again(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """The holder of the lease was refused, and has set the person aside."""
    sample_tenant.change_settings(access_token_lifetime=30)
    apps = two_apps(make_services)
    account = sign_in(apps[0])
    sample_tenant.change_person(ADA, state="revoked")
    sample_tenant.change_settings(latency=0.4)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(apps[0].access.acquire_token, account)
        wait_until(lambda: stored(apps[0], account).lease is not None, "the first request has the lease")
        with pytest.raises(SignInRequired, match="50173"):
            apps[1].access.acquire_token(stored(apps[1], account))
        with pytest.raises(SignInRequired, match="50173"):
            first.result()
    assert sample_tenant.log()["refused"] == 1


def test_me_reads_once_and_writes_nothing_in_the_steady_state(
    start_app: Callable[..., RunningApp], sample_tenant: SampleTenant
) -> None:
    """One read brings session and token cache."""
    sample_tenant.change_settings(access_token_lifetime=3600)
    app = start_app()
    browser = app.browser()
    browser.sign_in(ADA)
    before = app.account_of(ADA)
    for _ in range(3):
        assert browser.get("/me").status_code == 200
    after = app.account_of(ADA)
    assert before is not None
    assert after is not None
    assert before.etag == after.etag


def test_short_tokens_cost_one_redemption_for_all_who_come_at_once(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """MSAL takes a token of five minutes for expired from the start. Whoever comes in the first half of its life uses
    it, and then one of them renews it."""
    app = make_services()
    account = sign_in(app)
    sample_tenant.change_settings(access_token_lifetime=300, rotation="strict", latency=0.1)
    with ThreadPoolExecutor(20) as threads:
        tokens = set(threads.map(lambda _: app.access.acquire_token(stored(app, account)), range(20)))
    assert len(tokens) == 1
    assert app.access.acquire_token(stored(app, account)) in tokens
    assert sample_tenant.log()["refresh_tokens_redeemed"] == 1
    assert app.access.acquire_token(aged(app, stored(app, account))) not in tokens
    assert sample_tenant.log()["refresh_tokens_redeemed"] == 2
