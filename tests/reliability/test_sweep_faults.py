"""Faults that need more than one person, or more than one sweep: nobody is lost, and nobody else is affected."""

import contextlib
import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from localdev.tenant import SampleTenant
from shared.accounts import Account, Outcome, State, slot_of
from shared.clients.graph import Graph
from shared.errors import RowTooLarge
from shared.identity.rate_limit import RateLimit
from shared.sealing import new_key
from shared.services import Services
from shared.store import SweepRecord
from shared.store.tables.slot_pass import ROWS_PER_PAGE
from shared.sweep_queue import due_slots
from tests.reliability.crowd import enrol
from tests.reliability.scene import BEN, Scene
from tests.reliability.storage_proxy import StorageProxy
from tests.reliability.storage_rows import BATCH, BUSY, SCAN
from tests.running_app import Clock
from timer_worker.sweep import Sweep
from timer_worker.task import Task

MakeServices = Callable[..., Services]
_ROW_BYTES = 1024 * 1024  # of JSON: Azurite counts this way
PEOPLE = ("ada", "ben", "chiara", "deniz", "emi", "farid")


@pytest.fixture
def clock() -> Clock:
    """The app's clock."""
    return Clock()


@pytest.fixture
def app(make_services: MakeServices, proxy: StorageProxy, clock: Clock) -> Services:
    """The app's parts without a host, behind a storage proxy that can fail."""
    return make_services(
        clock=clock,
        wait=clock.wait,
        tables=proxy.client(),
        rate_limit=RateLimit(clock=lambda: clock().timestamp()),
        TABLES_CONNECTION_STRING=proxy.connection_string,
    )


def sweep(app: Services, **options: Any) -> SweepRecord:
    """Runs one sweep over what is due."""
    record = Sweep(app, **{"tasks": ()} | options).run(due_slots(app.store, app.now()))
    assert record
    return record


def clock_of(app: Services) -> Clock:
    """The clock that the app was made with."""
    assert isinstance(app.now, Clock)
    return app.now


def unreadable_crowd(app: Services, people: int) -> list[Account]:
    """People of one slot whose caches can't be opened, so that no token is requested."""
    names = (f"somebody-{number}" for number in range(100_000))
    chosen = [name for name in names if slot_of(name) == "03"][:people]
    accounts = [
        Account(account_id=name, due_at=app.now() - timedelta(minutes=1), last_activity=app.now()) for name in chosen
    ]
    return [saved for saved in app.store.save_many(accounts) if isinstance(saved, Account)]


def test_a_page_that_fails_half_way_loses_nobody(
    app: Services, proxy: StorageProxy, tables: TableServiceClient
) -> None:
    """People read before the fault are handled and saved. The others stay due and come with the next sweep."""
    unreadable_crowd(app, ROWS_PER_PAGE + 50)
    trouble = proxy.add(**SCAN, **BUSY, skip=2)
    proxy.requests.clear()
    slots = [slot for slot in due_slots(app.store, app.now()) if slot.name == "03"]
    record = Sweep(app, tasks=()).run(slots)
    assert trouble.happened
    assert record
    assert record.counts == {"unreadable": ROWS_PER_PAGE}
    assert "scan slot: 503" in record.stopped
    proxy.clear()
    clock_of(app).move(minutes=11)
    assert sweep(app).counts == {"unreadable": 50}


def test_a_transaction_that_is_too_large_is_halved(app: Services, proxy: StorageProxy) -> None:
    """The storage decides about sizes, and still everybody is saved."""
    people = unreadable_crowd(app, 8)
    several = r"(?s)PATCH .*PATCH |PUT .*PUT |MERGE .*MERGE "
    trouble = proxy.add(**(BATCH | {"body": several}), status=413, code="RequestBodyTooLarge", times=3)
    assert sweep(app).counts == {"unreadable": 8}
    assert trouble.happened == 3
    states = [found.state for each in people if (found := app.store.get(each.account_id))]
    assert states == [State.UNREADABLE] * 8


def test_a_row_that_makes_no_sense_hides_nobody(
    app: Services, tables: TableServiceClient, caplog: pytest.LogCaptureFixture
) -> None:
    """One log line reports it, and the others of its slot have their turn."""
    people = unreadable_crowd(app, 3)
    table = tables.get_table_client("Accounts")
    row = table.get_entity("03", people[0].account_id)
    table.upsert_entity(row | {"State": "half-asleep"})
    assert sweep(app).counts == {"unreadable": 2}
    assert [each.levelno for each in caplog.records if "makes no sense" in each.getMessage()].count(logging.ERROR) >= 1


@pytest.mark.parametrize("state", ["wrong", "expired"])
def test_a_bad_credential_stops_the_sweep_after_the_first_account(
    app: Services, sample_tenant: SampleTenant, clock: Clock, state: str
) -> None:
    """There is one token request in total, and no account changes."""
    before = enrol(app, sample_tenant, PEOPLE)
    sample_tenant.change_app(sample_tenant.client_id, secret_state=state)
    clock.move(minutes=6)
    asked = sample_tenant.log()["token_requests"]
    record = sweep(app)
    assert record.counts == {"misconfigured": 1}
    assert record.stopped.startswith("misconfigured 70002")
    assert sample_tenant.log()["token_requests"] == asked + 1
    assert [app.store.get(each.account_id) for each in before] == before


def test_a_bad_credential_is_found_once_though_the_first_person_must_sign_in_unasked(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """A person without a refresh token proves nothing about our credentials: there is still one request."""
    people = enrol(app, sample_tenant, PEOPLE)
    ring = app.settings.key_ring
    for each in people[:2]:
        app.store.save(replace(each, sealed_cache=ring.seal_cache("{}", each.account_id)))
    sample_tenant.change_app(sample_tenant.client_id, secret_state="expired")
    clock.move(minutes=6)
    asked = sample_tenant.log()["token_requests"]
    sweep(app)
    assert sample_tenant.log()["token_requests"] == asked + 1


def test_a_tenant_that_removed_the_app_is_skipped_and_the_others_are_swept(
    make_services: MakeServices, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """In a multi-tenant app two of its people are asked for at most, and nobody is set aside."""
    keys = new_key("k")
    app = make_services(clock=clock, AUTHORITY=sample_tenant.authority_of("organizations"), ENCRYPTION_KEYS=keys)
    here = enrol(app, sample_tenant, PEOPLE)
    there = enrol(app, sample_tenant, ("hugo", "ines"), domain="fabrikam.example")
    tenant = there[0].tenant_id
    sample_tenant.change_app(sample_tenant.client_id, removed_from_tenants=[tenant])
    clock.move(minutes=6)
    record = sweep(app)
    assert record.stopped == ""
    assert record.counts["fresh"] == len(here)
    assert record.counts["misconfigured"] <= 2
    assert [each.state for each in map(app.store.get, [each.account_id for each in there]) if each] == [
        State.ACTIVE
    ] * 2
    sample_tenant.change_app(sample_tenant.client_id, removed_from_tenants=[])
    again = make_services(clock=clock, AUTHORITY=sample_tenant.authority_of("organizations"), ENCRYPTION_KEYS=keys)
    clock.move(minutes=11)
    sweep(again)
    found = [again.store.get(each.account_id) for each in there]
    assert {each.recent[0].outcome for each in found if each} == {Outcome.FRESH}


def scope_is_refused_for(sample_tenant: SampleTenant, *names: str) -> None:
    """From now on the tenant answers `invalid_scope` for these people."""
    for name in names:
        body = {"error": "invalid_scope", "error_description": "refused"}
        sample_tenant.add_fault("token", "oauth_error", username=f"{name}@contoso.example", body=body)


def failures(app: Services, people: list[Account]) -> list[str]:
    """The codes of the failures that are stored, for those who have one."""
    found = [app.store.get(each.account_id) for each in people]
    return [each.failure.code for each in found if each and each.failure]


def first_in_order(app: Services) -> list[str]:
    """The names of the people who are due, in the order in which a sweep asks for them."""
    slots = [slot.name for slot in due_slots(app.store, app.now())]
    found = [each for slot in slots for page in app.store.due(slot, app.now()) for each in page]
    return [each.username.partition("@")[0] for each in found]


def test_one_person_s_odd_answer_stops_nobody(
    make_services: MakeServices, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """Though it is the sweep's first answer. The person is put off, and the operator reads the code."""
    app = make_services(clock=clock, SWEEP_CONCURRENCY="1")
    people = enrol(app, sample_tenant, PEOPLE)
    clock.move(minutes=6)
    scope_is_refused_for(sample_tenant, first_in_order(app)[0])
    record = sweep(app)
    assert (record.counts, record.stopped) == ({"fresh": 5, "misconfigured": 1}, "")
    assert failures(app, people) == ["invalid_scope"]
    assert sweep_if_due(app) == {}


def sweep_if_due(app: Services) -> dict[str, int]:
    """Runs a sweep over the slots that are due. Returns the people by outcome."""
    record = Sweep(app, tasks=()).run(due_slots(app.store, app.now()))
    return record.counts if record else {}


def test_a_second_person_with_the_same_error_stops_the_sweep(
    make_services: MakeServices, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """Two people before any good answer may be everybody. People who got the error before are no second person."""
    app = make_services(clock=clock, SWEEP_CONCURRENCY="1")
    people = enrol(app, sample_tenant, PEOPLE)
    clock.move(minutes=6 + (4 - clock().minute - 6) % 60)  # the slots have their turns by the hour
    odd = first_in_order(app)[:3]
    scope_is_refused_for(sample_tenant, *odd)
    record = sweep(app)
    assert (record.counts, record.stopped) == ({"misconfigured": 2}, "misconfigured invalid_scope")
    assert failures(app, people) == ["invalid_scope"]
    clock.move(minutes=11)
    record = sweep(app)
    assert (record.counts, record.stopped) == ({"misconfigured": 3}, "misconfigured invalid_scope")
    clock.move(minutes=11)
    record = sweep(app)
    assert (record.counts, record.stopped) == ({"fresh": 3, "misconfigured": 3}, "")


def test_answers_that_prove_the_app_good_outweigh_any_number_of_odd_ones(
    make_services: MakeServices, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """Three people with an odd answer are put off, each for themselves."""
    app = make_services(clock=clock, SWEEP_CONCURRENCY="1")
    people = enrol(app, sample_tenant, PEOPLE)
    clock.move(minutes=6)
    scope_is_refused_for(sample_tenant, *first_in_order(app)[1:4])
    record = sweep(app)
    assert (record.counts, record.stopped) == ({"fresh": 3, "misconfigured": 3}, "")
    assert failures(app, people) == ["invalid_scope"] * 3


def test_an_error_that_can_only_be_the_app_s_stops_the_sweep_after_good_answers_too(
    make_services: MakeServices, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """The secret expires in the middle of the sweep: one refused request, and nobody is put off."""
    app = make_services(clock=clock, SWEEP_CONCURRENCY="1")
    people = enrol(app, sample_tenant, PEOPLE)
    clock.move(minutes=6)
    third = f"{first_in_order(app)[2]}@contoso.example"
    body = {"error": "invalid_client", "error_codes": [7000222], "error_description": "refused"}
    sample_tenant.add_fault("token", "oauth_error", username=third, body=body)
    record = sweep(app)
    assert record.stopped == "misconfigured 7000222"
    assert record.counts["misconfigured"] == 1
    assert failures(app, people) == []


def test_retry_after_holds_for_all_threads_of_the_process(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """After one 429 nobody asks before its time is over. Then everybody has their turn in the same sweep."""
    enrol(app, sample_tenant, PEOPLE)
    clock.move(minutes=6)
    sample_tenant.add_fault("token", "throttle", retry_after=90, times=1)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.wait(seconds)

    app.wait = wait
    record = sweep(app)
    assert record.counts == {"fresh": 5, "throttled": 1}
    assert waits
    assert 80 < max(waits) <= 90


def test_failures_in_a_row_pause_the_sweep_and_it_resumes_by_itself(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """After five failures nobody asks for a while. Then the sixth person is asked for, and the sweep continues."""
    enrol(app, sample_tenant, PEOPLE)
    clock.move(minutes=6 + (4 - clock().minute - 6) % 60)  # the slots have their turns by the hour
    sample_tenant.add_fault("token", "status", status=503, times=5)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.wait(seconds)

    app.wait = wait
    assert sweep(app).counts == {"fresh": 1, "unavailable": 5}
    assert len(waits) == 1
    clock.move(minutes=5)
    assert sweep(app).counts == {"fresh": 5}


def test_an_outage_longer_than_a_sweep_ends_it_and_sets_nobody_aside(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """After twenty ticks against a dead tenant everybody is still active, and the first good sweep covers everybody."""
    people = enrol(app, sample_tenant, PEOPLE)
    sample_tenant.add_fault("token", "status", status=500)
    for _ in range(20):
        clock.move(minutes=11)
        Sweep(app, tasks=()).run(due_slots(app.store, app.now()))
    found = [app.store.get(each.account_id) for each in people]
    assert {each.state for each in found if each} == {State.ACTIVE}
    sample_tenant.clear_faults()
    clock.move(hours=2)
    assert sweep(app).counts == {"fresh": 6}


def test_the_time_limit_ends_the_sweep_and_the_rest_is_taken_next(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """No turn begins after it. People who were not reached stay due."""
    enrol(app, sample_tenant, PEOPLE)
    clock.move(minutes=6)
    record = sweep(app, time_limit=timedelta(0))
    assert (record.counts, record.stopped) == ({}, "time_limit")
    clock.move(minutes=5)
    assert sweep(app).counts == {"fresh": 6}


def test_a_clock_that_goes_back_makes_people_late_and_nothing_worse(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """Nobody is swept twice, set aside or lost. Their turn comes when the clock reaches its time again."""
    people = enrol(app, sample_tenant, PEOPLE)
    clock.move(minutes=6)
    assert sweep(app).counts == {"fresh": 6}
    clock.move(minutes=-30)
    assert Sweep(app, tasks=()).run(due_slots(app.store, app.now())) is None
    found = [app.store.get(each.account_id) for each in people]
    assert {each.state for each in found if each} == {State.ACTIVE}
    clock.move(minutes=95)
    assert sweep(app).counts == {"fresh": 6}


def test_unreadable_people_recover_when_the_key_is_back(
    make_services: MakeServices, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """They stay due at each interval, and their blobs are kept."""
    old, new = new_key("old"), new_key("new")
    people = enrol(make_services(clock=clock, ENCRYPTION_KEYS=old), sample_tenant, PEOPLE)
    clock.move(minutes=6)
    lost = make_services(clock=clock, ENCRYPTION_KEYS=new)
    assert sweep(lost).counts == {"unreadable": 6}
    clock.move(minutes=61)
    both = make_services(clock=clock, ENCRYPTION_KEYS=f"{new},{old}")
    assert sweep(both).counts == {"fresh": 6}
    found = [both.store.get(each.account_id) for each in people]
    assert {(each.state, each.failure) for each in found if each} == {(State.ACTIVE, None)}


def test_rows_past_retention_without_a_usable_token_are_deleted_and_counted(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """People who must sign in and people whose rows can't be read are deleted, and nobody else."""
    people = enrol(app, sample_tenant, PEOPLE)
    sample_tenant.change_person("ada@contoso.example", state="revoked")
    blind = app.store.save(replace(people[1], sealed_cache=b"nothing"))
    clock.move(minutes=6)
    assert sweep(app).counts == {"fresh": 4, "sign_in_required": 1, "unreadable": 1}
    clock.move(days=91)
    counts = sweep(app).counts
    assert counts["deleted"] == 2
    assert app.store.get(people[0].account_id) is None
    assert app.store.get(blind.account_id) is None
    assert all(app.store.get(each.account_id) for each in people[2:])


def almost_full(app: Services, account: Account) -> Account:
    """The account with the largest token cache that fits in a row: what a refresh adds is too much. (Azurite allows
    less than Azure, because it counts base64.)"""
    most = _ROW_BYTES * 3 // 4 - 1000
    ring = app.settings.key_ring
    cache = json.loads(ring.open_cache(account.sealed_cache, account.account_id))

    cache["AccessToken"] = {}

    def padded(size: int) -> Account:
        cache["AppMetadata"]["pad"] = {"pad": secrets.token_hex(size)}
        return replace(account, sealed_cache=ring.seal_cache(json.dumps(cache), account.account_id))

    fits = most
    for _ in range(3):
        fits += most - len(padded(fits).sealed_cache)
    for size in range(fits, 0, -200):
        with contextlib.suppress(RowTooLarge):
            return app.store.save(padded(size))
    raise AssertionError("no size fits")


def test_a_cache_over_the_limit_keeps_the_old_one_in_a_sweep(
    app: Services, sample_tenant: SampleTenant, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The token works, the row keeps its old cache, one error line says so, and the account stays active."""
    (ben,) = enrol(app, sample_tenant, ("ben",))
    full = almost_full(app, ben)
    clock.move(minutes=6)
    assert sweep(app).counts == {"fresh": 1}
    known = app.store.get(ben.account_id)
    assert known
    assert (known.state, known.sealed_cache, known.cache_version) == (
        State.ACTIVE,
        full.sealed_cache,
        full.cache_version,
    )
    assert known.due_at > app.now()
    loud = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    assert len(loud) == 1
    assert "keeps its old token cache" in loud[0]


def test_a_cache_over_the_limit_keeps_the_old_one_in_the_browser(scene: Scene) -> None:
    """A request behaves alike: the page is shown, and there is one error line."""
    full = almost_full(scene.app.services, scene.account)
    scene.caplog.clear()
    assert scene.me().status_code == 200
    assert scene.account.sealed_cache == full.sealed_cache
    (line,) = scene.loud_lines()
    assert "keeps its old token cache" in line.getMessage()


def test_a_revocation_behind_a_good_token_is_found_in_the_tasks(
    app: Services, sample_tenant: SampleTenant, clock: Clock
) -> None:
    """Graph's challenge forces a refresh, and its answer decides. The other tasks do not begin."""
    sample_tenant.change_settings(access_token_lifetime=3600)
    (ben,) = enrol(app, sample_tenant, ("ben",))
    sample_tenant.change_person(BEN, state="revoked", continuous_access=True)
    clock.move(minutes=6)
    begun: list[str] = []

    def task(name: str) -> Task:
        def run(_: Account, graph: Graph) -> None:
            begun.append(name)
            graph.me()

        return Task(name, run, scopes=("User.Read",))

    assert sweep(app, tasks=(task("first"), task("second"))).counts == {"sign_in_required": 1}
    assert begun == ["first"]
    known = app.store.get(ben.account_id)
    assert known
    assert (known.state, known.recent[0].outcome) == (State.NEEDS_SIGN_IN, Outcome.SIGN_IN_REQUIRED)
