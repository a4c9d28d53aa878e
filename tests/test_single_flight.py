"""A refresh token is redeemed once, however many ask for it at once: threads, two instances, browser against sweep."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import Lease, State
from shared.errors import NotSignedIn, SignInRequired, TryLater
from shared.identity.access import LEASE, Access
from shared.services import Services
from shared.sweep_queue import due_slots
from tests.running_app import Clock, RunningApp
from tests.support import ADA, MakeServices, keys_of, sign_in, stored, wait_until
from timer_worker.sweep import Sweep


def two_apps(make_services: MakeServices, **changes: str) -> tuple[Services, Services]:
    """Two instances of the app on one storage account."""
    keys = keys_of(make_services)
    first, second = (make_services(ENCRYPTION_KEYS=keys, **changes) for _ in range(2))
    return first, second


def test_requests_at_once_on_two_instances_redeem_once(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """One takes the lease; the others wait, read again, and find the fresh token."""
    apps = two_apps(make_services)
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
    """The caller's one read is all; nothing is written while the token and the activity are recent."""
    sample_tenant.change_settings(access_token_lifetime=3600)
    app = make_services()
    account = sign_in(app)
    assert app.access.acquire_token(account)
    assert stored(app, account) == account
    assert stored(app, account).etag == account.etag


def test_strict_sweep_and_browser_redeem_once(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The sweep leases its page; a request that comes meanwhile waits for its result."""
    clock = Clock()
    sample_tenant.change_settings(access_token_lifetime=3600, rotation="strict", latency=0.3)
    keys = keys_of(make_services)
    sweeping = make_services(clock=clock, ENCRYPTION_KEYS=keys, REFRESH_TOKEN_ROTATION="strict")
    browsing = make_services(clock=clock, ENCRYPTION_KEYS=keys, REFRESH_TOKEN_ROTATION="strict")
    sample_tenant.change_settings(access_token_lifetime=200)
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
    """Somebody redeems for them at this moment; they stay due."""
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
    """The app's access, with somebody else's hand on the clock."""
    app.wait = wait
    return app.access


def test_a_lease_whose_owner_died_runs_out(make_services: MakeServices) -> None:
    """A request waits some seconds and is told to try again; when the lease has run out, the next one redeems."""
    clock = Clock()
    app = make_services(clock=clock)
    account = sign_in(app)
    leased = app.store.touch(replace(account, lease=Lease("dead", clock() + LEASE)))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.move(seconds=seconds)

    with pytest.raises(TryLater, match="busy"):
        waiting(app, wait).acquire_token(leased)
    assert sum(waits) < LEASE.total_seconds()
    clock.move(seconds=LEASE.total_seconds())
    assert waiting(app, wait).acquire_token(leased)


def test_waiting_ends_when_the_person_signs_out(make_services: MakeServices) -> None:
    """The row is gone: nothing is brought back."""
    app = make_services()
    account = sign_in(app)
    leased = app.store.touch(replace(account, lease=Lease("other", app.now() + LEASE)))

    def sign_out(_: float) -> None:
        app.store.delete(account.account_id)

    with pytest.raises(NotSignedIn):
        waiting(app, sign_out).acquire_token(leased)
    assert app.store.get(account.account_id) is None


def test_sign_out_while_redeeming_is_not_undone(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The answer comes after the row was deleted: the new tokens are dropped, the row stays away."""
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
    """The newer cache wins; the request still gets its token."""
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
    """What a sweep would find out, a request finds out too; the tenant is not asked again."""
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
    """503 from the tenant: try later; the next request needn't wait for the lease to run out."""
    app = make_services()
    account = sign_in(app)
    sample_tenant.add_fault("token", "status", status=503, times=1)
    with pytest.raises(TryLater, match="http_503"):
        app.access.acquire_token(account)
    after = stored(app, account)
    assert (after.state, after.failure, after.lease) == (State.ACTIVE, None, None)
    assert app.access.acquire_token(after)


def test_me_reads_once_and_writes_nothing_in_the_steady_state(
    start_app: Callable[..., RunningApp], sample_tenant: SampleTenant
) -> None:
    """Session check and token cache come in the same read."""
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
