"""Refresh tokens that may be used once: nobody redeems after a lease has ended, and saving new tokens is retried."""

from collections.abc import Callable

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import Account, Person, State
from shared.identity.rate_limit import RateLimit
from shared.services import Services
from shared.sweep_queue import due_slots
from tests.reliability.crowd import enrol
from tests.reliability.storage_proxy import StorageProxy
from tests.reliability.storage_rows import BATCH, BUSY, SAVE
from tests.running_app import Clock
from timer_worker.sweep import Sweep
from timer_worker.task import Task
from timer_worker.tasks import TASKS

ATTEMPTS_OF_THE_SDK = 4


@pytest.fixture
def clock() -> Clock:
    """The app's clock."""
    return Clock()


@pytest.fixture
def app(
    make_services: Callable[..., Services], proxy: StorageProxy, sample_tenant: SampleTenant, clock: Clock
) -> Services:
    """The app's parts, with a tenant that revokes a family when one of its tokens comes twice."""
    sample_tenant.change_settings(rotation="strict")
    strict = {"REFRESH_TOKEN_ROTATION": "strict", "TABLES_CONNECTION_STRING": proxy.connection_string}
    rate_limit = RateLimit(clock=lambda: clock().timestamp())
    return make_services(clock=clock, wait=clock.wait, tables=proxy.client(), rate_limit=rate_limit, **strict)


def swept(app: Services, clock: Clock, tasks: tuple[Task, ...] = ()) -> dict[str, int]:
    """Runs one sweep, in which waiting moves the clock."""
    record = Sweep(app, tasks=tasks).run(due_slots(app.store, clock()))
    assert record
    assert record.stopped == ""
    return record.counts


def known(app: Services, account: Account) -> Account:
    """The account as it is stored."""
    found = app.store.get(account.account_id)
    assert found
    return found


def test_a_storage_that_fails_for_a_while_costs_a_sweep_no_family(
    app: Services, proxy: StorageProxy, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The redeemed tokens are saved at the third attempt, and the next sweep uses them."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    clock.move(minutes=6)
    trouble = proxy.add(**BATCH, **BUSY, skip=1, times=2 * ATTEMPTS_OF_THE_SDK)
    assert swept(app, clock) == {"fresh": 1}
    assert trouble.happened == 2 * ATTEMPTS_OF_THE_SDK
    clock.move(minutes=61)
    assert swept(app, clock) == {"fresh": 1}
    assert (known(app, ben).state, sample_tenant.log()["families_revoked"]) == (State.ACTIVE, 0)


def test_an_answer_lost_after_the_save_costs_a_sweep_no_family(
    app: Services, proxy: StorageProxy, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The second attempt conflicts with our own first one, and the store notices."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    clock.move(minutes=6)
    proxy.add(**BATCH, skip=1, times=1, forward=True)
    assert swept(app, clock) == {"fresh": 1}
    clock.move(minutes=61)
    assert swept(app, clock) == {"fresh": 1}
    assert (known(app, ben).state, sample_tenant.log()["families_revoked"]) == (State.ACTIVE, 0)


def test_a_storage_that_fails_for_a_while_costs_a_request_no_family(
    app: Services, proxy: StorageProxy, sample_tenant: SampleTenant
) -> None:
    """The person waits a moment longer, and both tokens are valid."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    trouble = proxy.add(**SAVE, **BUSY, times=ATTEMPTS_OF_THE_SDK)
    assert app.access.acquire_token(ben)
    assert trouble.happened == ATTEMPTS_OF_THE_SDK
    assert app.access.acquire_token(known(app, ben))
    assert sample_tenant.log()["families_revoked"] == 0


def test_nobody_is_redeemed_whose_lease_ran_out_while_the_sweep_waited(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """When throttling lasts longer than a lease, people who waited are left for the next tick: another process may
    redeem now."""
    enrol(app, sample_tenant, ("ada", "ben", "chiara"))
    clock.move(minutes=6)
    sample_tenant.add_fault("token", "throttle", retry_after=90, times=1)
    first = swept(app, clock)
    assert first["throttled"] == 1
    assert sample_tenant.log()["refresh_tokens_redeemed"] == first.get("fresh", 0)
    for _ in range(3):
        clock.move(minutes=61)
        assert swept(app, clock) == {"fresh": 3}
    assert sample_tenant.log()["families_revoked"] == 0


def test_a_claims_challenge_in_a_task_is_met_under_the_lease(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The lease is held until the tasks are done, then released."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    leases = []

    def looks(account: Account, _: object) -> None:
        leases.append(known(app, account).lease)

    sample_tenant.change_person("ben@contoso.example", continuous_access=True)
    clock.move(minutes=6)
    assert swept(app, clock, (Task("looks", looks, scopes=("User.Read",)), *TASKS)) == {"fresh": 1}
    assert [bool(each) for each in leases] == [True]
    assert known(app, ben).lease is None
    assert sample_tenant.log()["families_revoked"] == 0


def test_a_row_made_anew_is_never_taken_for_the_old_one(app: Services) -> None:
    """After signing out and in again, the new row starts with another version number."""
    person = Person("id", "ada")

    def first_version() -> int:
        made = app.lifecycle.enrol(None, person, scopes=(), sealed_cache=b"", token_expires_at=None, now=app.now())
        return made.cache_version

    assert len({first_version() for _ in range(20)}) == 20
