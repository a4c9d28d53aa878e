"""Several processes and threads on one storage, processes that are killed at any moment, and a long-lived process.

A small run is part of every test run. The long one (1,000 contended refreshes, 100 killed sweeps per signal):

    python3 dev.py test --long tests/reliability/test_races_and_kills.py
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import Account, State
from shared.services import Services
from shared.sweep_queue import due_slots
from tests.reliability.crowd import enrol
from tests.running_app import Clock
from tests.support import LONG, ROOT, Environment, wait_until
from timer_worker.sweep import Sweep

REFRESHES = 1000 if LONG else 60
KILLS = 100 if LONG else 3
LONGEST_SECONDS = 900 if LONG else 100
PEOPLE = ("ada", "ben", "chiara", "deniz", "emi", "farid")
MakeServices = Callable[..., Services]


class Racer:
    """One process of tests/reliability/racer.py."""

    def __init__(self, environment: Environment, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.racer", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> dict[str, Any]:
        """Waits for the process's next line."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "it said nothing and ended"
        heard: dict[str, Any] = json.loads(line)
        return heard

    def go(self) -> None:
        """Lets the process begin."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def send(self, number: signal.Signals) -> int:
        """Sends a signal and returns the exit code."""
        self._process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Closes the standard input, waits, and returns the exit code."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=60)
        return self._process.returncode


@pytest.fixture
def race(environment: Environment) -> Iterator[Callable[..., Racer]]:
    """Starts racers with the environment of this test, and kills those that remain."""
    started: list[Racer] = []

    def start(*arguments: str, **changes: str) -> Racer:
        started.append(Racer(environment | changes, *arguments))
        return started[-1]

    yield start
    for each in started:
        if each._process.poll() is None:
            each._process.kill()
            each.end()


def test_no_family_is_revoked_in_contended_refreshes(
    race: Callable[..., Racer], make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """Strict rotation, two browser processes with four threads each against two sweeping processes, four people: not
    one refresh token is used twice, and nobody is set aside. The sweeping processes' clocks are ahead, so that people
    are due to them however busy their browsers are."""
    sample_tenant.change_settings(rotation="strict", access_token_lifetime=30)
    strict = {"REFRESH_TOKEN_ROTATION": "strict", "ABSENT_AFTER": "1s", "SWEEP_EVERY": "1s"}
    app = make_services(**strict)
    people = enrol(app, sample_tenant, PEOPLE[:4])
    ids = [each.account_id for each in people]
    racers = [race("browse", *ids, **strict), race("browse", *ids, **strict)]
    racers += [race("sweep-on", "2", **strict), race("sweep-on", "2", **strict)]
    ends_at = time.monotonic() + LONGEST_SECONDS
    while sample_tenant.log()["refresh_tokens_redeemed"] < REFRESHES and time.monotonic() < ends_at:
        time.sleep(0.1)
    assert [each.end() for each in racers] == [0, 0, 0, 0]
    log = sample_tenant.log()
    assert log["refresh_tokens_redeemed"] >= REFRESHES
    assert (log["families_revoked"], log["refused"]) == (0, 0)
    found = [app.store.get(each) for each in ids]
    assert [each.state for each in found if each] == [State.ACTIVE] * 4
    by_sweeps = sum(record.counts.get("fresh", 0) for record in app.store.recent_sweeps(900))
    assert 0 < by_sweeps < log["refresh_tokens_redeemed"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_sweeps_that_end_at_any_moment_lose_nobody(
    race: Callable[..., Racer], make_services: MakeServices, sample_tenant: SampleTenant, number: signal.Signals
) -> None:
    """After each kill, everybody is stored and active. After all kills, one clean sweep covers everybody."""
    clock = Clock()
    app = make_services(clock=clock)
    people = enrol(app, sample_tenant, [*PEOPLE, *(f"walk-on-{number}" for number in range(10))])
    sample_tenant.change_settings(latency=0.02)
    ended = 0
    for _ in range(KILLS):
        clock.move(minutes=75)
        racer = race("sweep-once", str(clock.ahead.total_seconds()), SWEEP_CONCURRENCY="2")
        racer.hear()
        racer.go()
        time.sleep(random.uniform(0, 0.6))  # noqa: S311 - the moment of the end, in real time
        ended += racer.send(number) == -number
        assert {each.state for each in all_of(app, people)} == {State.ACTIVE}
    assert ended, "every sweep was over before its end came"
    clock.move(minutes=75)
    record = Sweep(app).run(due_slots(app.store, clock()))
    assert record
    assert record.counts == {"fresh": len(people)}
    assert min(each.last_swept_at for each in all_of(app, people) if each.last_swept_at) >= record.started_at
    assert max(each.due_at for each in all_of(app, people)) <= clock() + timedelta(hours=1)


def tenant_is_asked_more_often(tenant: SampleTenant) -> Callable[[], bool]:
    """Whether more token requests have come since now."""
    asked = tenant.log()["token_requests"]
    return lambda: tenant.log()["token_requests"] > asked


def test_sweeps_that_all_die_at_work_are_no_heartbeat(
    race: Callable[..., Racer], make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """Each sweep claims the slot again, and the heartbeat still stops. One sweep that finishes restores it."""
    clock = Clock()
    app = make_services(clock=clock)
    enrol(app, sample_tenant, PEOPLE[:1])
    for _ in range(2):
        clock.move(minutes=15)
        assert app.readiness.checks()["heartbeat"].ok
        sample_tenant.change_settings(latency=30)
        under_way = tenant_is_asked_more_often(sample_tenant)
        racer = race("sweep-once", str(clock.ahead.total_seconds()))
        racer.hear()
        racer.go()
        wait_until(under_way, "the sweep asks the tenant", 60)
        assert racer.send(signal.SIGKILL) == -signal.SIGKILL
        sample_tenant.change_settings(latency=0)
    clock.move(minutes=11)
    dead = app.readiness.checks()["heartbeat"]
    assert (dead.ok, dead.detail) == (False, "nobody reached for 16 minutes")
    assert Sweep(app).run(due_slots(app.store, clock()))
    assert app.readiness.checks()["heartbeat"].ok


def all_of(app: Services, people: list[Account]) -> list[Account]:
    """Their rows. Every one must exist."""
    found = [app.store.get(each.account_id) for each in people]
    assert all(found)
    return [each for each in found if each]


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_files_threads_and_memory_are_level_after_fifty_sweeps(
    race: Callable[..., Racer], make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """A process uses no more after fifty sweeps than after twenty. One leaked object per turn would show."""
    enrol(make_services(), sample_tenant, PEOPLE)
    racer = race("sweep-many", "50", SWEEP_CONCURRENCY="8")
    early, late = racer.hear()["after"]
    assert racer.end() == 0
    assert late["files"] <= early["files"] + 2, (early, late)
    assert late["threads"] <= early["threads"] + 1, (early, late)
    assert late["blocks"] - early["blocks"] < 250, (early, late)
    assert late["pages"] - early["pages"] < 500, (early, late)
