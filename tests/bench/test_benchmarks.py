"""Every benchmark runs, with few people. Tests check counts, never seconds."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bench import coldstart, idle, me, memory, people, scaleout, sweep, workers
from bench.__main__ import BENCHMARKS
from bench.busy import busy_loop
from bench.figures import Figure
from bench.workbench import Workbench
from localdev.progress import Progress
from tests.support import ROOT

Figures = dict[str, float]

# These names stay the same, so that figures can be compared over time.
KEYS = {
    "sweep": "rate baseline_rate speedup rate_no_latency cpu_ms floor_cpu_ms cpu_ratio storage_calls_per_person"
    " endpoint_ceiling cpu_ms_certificate rate_ratio inflight_ratio rate_256 cpu_ratio_no_latency",
    "workers": "cpu_ms_one cpu_ms_two cpu_ratio double_redemptions",
    "memory": "rss_mb_small rss_mb_large ratio growth_mb ratio_huge",
    "idle": "ms_small ms_large ratio one_due_ms_small one_due_ms_large one_due_ratio one_due_calls_per_slot"
    " several_due_calls_per_slot",
    "scaleout": "speedup double_redemptions",
    "me": "overhead_ms storage_calls",
    "coldstart": "ms ratio first_me_ms first_me_ratio first_me_managed_ratio",
}


def by_key(figures: list[Figure]) -> Figures:
    """The values, every named key among them."""
    values = {figure.key: figure.value for figure in figures}
    benchmark = figures[0].key.partition(".")[0]
    assert {f"{benchmark}.{key}" for key in KEYS[benchmark].split()} <= set(values)
    return values


@pytest.fixture
def bench() -> Iterator[Workbench]:
    """Storages that last as long as the test. Shows nothing."""
    with Workbench(Progress(io.StringIO())) as workbench:
        yield workbench


def test_a_sweep_asks_once_for_everybody_and_shares_its_storage_calls(bench: Workbench) -> None:
    """A sweep asks for each person's token once and uses no refresh token twice."""
    size = sweep.QUICK
    found = by_key(sweep.run(size, bench))
    assert found["sweep.token_calls"] == found["sweep.graph_calls_task"] == size.people
    assert found["sweep.double_redemptions"] == 0
    # Two calls for the tick. Each slot: its claim, lists, a page, transactions, new lists, the next time, the hint.
    assert found["sweep.storage_calls"] <= 2 + 16 * (4 + 4) + size.people / 4


def test_nobody_waits_for_the_person_before_them_once_the_credentials_are_proven(bench: Workbench) -> None:
    """With fewer people than threads, the first goes alone and all others go at once."""
    rig = bench.rig(48)
    sweep.sweep_once(rig, rig.services, latency=0.25)
    assert rig.far_end.counts().most_at_once >= 8


def test_two_processes_share_the_people_and_redeem_everybody_once(bench: Workbench) -> None:
    """Two processes that begin at once race for the slots. The claims decide, and nobody is swept twice."""
    found = by_key(workers.run(workers.QUICK, bench))
    assert found["workers.double_redemptions"] == 0
    assert 0.5 <= found["workers.larger_share"] <= 1


def test_memory_is_measured_in_a_process_that_swept_everybody(bench: Workbench) -> None:
    """A sweep reports how much memory it took."""
    found = by_key(memory.run(memory.Size(small=20, large=40, huge=60, rounds=1), bench))
    assert found["memory.rss_mb_before"] <= found["memory.rss_mb_small"]


def test_an_idle_tick_is_one_read_however_many_people_are_stored(bench: Workbench) -> None:
    """When nobody is due, a tick reads one page of sixteen hints. With people due, each slot costs at most
    seven calls, and one more per person."""
    found = by_key(idle.run(idle.QUICK, bench))
    assert found["idle.storage_calls"] == 1
    assert found["idle.one_due_calls_per_slot"] <= 7
    assert found["idle.several_due_calls_per_slot"] <= 7


def test_storage_is_filled_once_for_all_benchmarks_of_a_run(bench: Workbench) -> None:
    """The same number of people is the same storage; nobody in it is due before somebody makes them."""
    rig = bench.rig(40)
    assert bench.rig(40) is rig
    assert rig.services.store.count_accounts(rig.clock() + timedelta(minutes=50)).overdue == 0
    people.make_due(rig, 7)
    assert rig.services.store.count_accounts(rig.clock()).overdue == 1


def test_two_hosts_redeem_everybody_once(bench: Workbench) -> None:
    """Both passes, with one host and with two, redeem each person once."""
    found = by_key(scaleout.run(scaleout.QUICK, bench))
    assert found["scaleout.token_calls"] == 2 * scaleout.QUICK.people
    assert found["scaleout.double_redemptions"] == 0


def test_me_reads_once_and_writes_nothing(bench: Workbench) -> None:
    """With a cached token, one read is all."""
    found = by_key(me.run(me.QUICK, bench))
    assert found["me.storage_calls"] == 1
    assert found["me.storage_writes"] == found["me.token_calls"] == 0


def test_the_app_starts_and_serves_me_to_somebody_who_signed_in_before(bench: Workbench) -> None:
    """A new process opens the cookie and the token cache of the one before."""
    assert by_key(coldstart.run(coldstart.QUICK, bench))["coldstart.first_me_ms"] > 0


def test_every_sdk_of_the_requirements_is_imported_for_comparison() -> None:
    """A new requirement is measured too."""
    lines = (ROOT / "requirements.in").read_text("utf-8").splitlines()
    names = {line.partition(">")[0].partition("[")[0] for line in lines if line and not line.startswith("#")}
    assert names == set(coldstart.SDKS)


def test_json_is_one_object_on_standard_output() -> None:
    """Progress goes to stderr."""
    command = [sys.executable, "-m", "bench", "me", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["me.storage_calls"] == 1
    assert "me ..." in done.stderr


def test_a_busy_loop_ends_with_the_benchmarks() -> None:
    """It runs as long as they do, and no longer."""
    with busy_loop() as process:
        assert process.poll() is None
    assert process.poll() is not None


def test_benchmarks_run_in_their_own_order() -> None:
    """`idle` needs people who are not due, and `memory` sweeps the same ones: it comes after."""
    order = list(BENCHMARKS)
    assert order.index("idle") < order.index("memory")


def test_all_benchmarks_are_run_by_default() -> None:
    """By default every benchmark runs."""
    assert set(BENCHMARKS) == set(KEYS)
