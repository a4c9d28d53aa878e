"""Every benchmark works, over few people: counts are asserted, seconds never."""

import io
import json
import subprocess
import sys

import pytest

from bench import coldstart, idle, me, memory, people, scaleout, sweep
from bench.__main__ import BENCHMARKS
from bench.figures import Figure
from bench.rig import start_rig
from localdev.progress import Progress
from tests.support import ROOT

Figures = dict[str, float]

# The names: whoever follows the figures over time finds them again.
KEYS = {
    "sweep": "rate baseline_rate speedup rate_no_latency cpu_ms floor_cpu_ms cpu_ratio storage_calls_per_person"
    " endpoint_ceiling cpu_ms_certificate",
    "memory": "rss_mb_small rss_mb_large ratio",
    "idle": "ms_small ms_large ratio one_due_ms_small one_due_ms_large",
    "scaleout": "speedup double_redemptions",
    "me": "overhead_ms storage_calls",
    "coldstart": "ms ratio first_me_ms",
}


def by_key(figures: list[Figure]) -> Figures:
    """The values, every named key among them."""
    values = {figure.key: figure.value for figure in figures}
    benchmark = figures[0].key.partition(".")[0]
    assert {f"{benchmark}.{key}" for key in KEYS[benchmark].split()} <= set(values)
    return values


@pytest.fixture
def progress() -> Progress:
    """Progress that nobody watches."""
    return Progress(io.StringIO())


def test_a_sweep_asks_once_for_everybody_and_shares_its_storage_calls(progress: Progress) -> None:
    """Each person's token is asked for once, and no refresh token is used twice."""
    size = sweep.QUICK
    found = by_key(sweep.run(size, progress))
    assert found["sweep.token_calls"] == found["sweep.graph_calls_task"] == size.people
    assert found["sweep.double_redemptions"] == 0
    # Two for the tick, and for each slot its claim, a page, its transactions, the next time and the hint.
    assert found["sweep.storage_calls"] <= 2 + 16 * (2 + 4) + size.people / 4


def test_nobody_waits_for_the_person_before_them_once_the_credentials_are_proven(progress: Progress) -> None:
    """Fewer people than threads: the first goes alone, all others at once."""
    with start_rig() as rig:
        people.fill(rig, 48, progress)
        sweep.sweep_once(rig, rig.services, latency=0.25)
        assert rig.far_end.counts().most_at_once >= 8


def test_memory_is_measured_in_a_process_that_swept_everybody(progress: Progress) -> None:
    """A sweep takes more than nothing, and says how much."""
    found = by_key(memory.run(memory.Size(small=20, large=40), progress))
    assert found["memory.rss_mb_before"] <= found["memory.rss_mb_small"]


def test_an_idle_tick_is_one_read_however_many_people_are_stored(progress: Progress) -> None:
    """Nobody is due: one page of sixteen hints."""
    assert by_key(idle.run(idle.QUICK, progress))["idle.storage_calls"] == 1


def test_two_hosts_redeem_everybody_once(progress: Progress) -> None:
    """One pass with one host, one with two; nobody twice."""
    found = by_key(scaleout.run(scaleout.QUICK, progress))
    assert found["scaleout.token_calls"] == 2 * scaleout.QUICK.people
    assert found["scaleout.double_redemptions"] == 0


def test_me_reads_once_and_writes_nothing(progress: Progress) -> None:
    """The steady state: a cached token."""
    found = by_key(me.run(me.QUICK, progress))
    assert found["me.storage_calls"] == 1
    assert found["me.storage_writes"] == found["me.token_calls"] == 0


def test_the_app_starts_and_serves_me_to_somebody_who_signed_in_before(progress: Progress) -> None:
    """A new process opens the cookie and the token cache of the one before."""
    assert by_key(coldstart.run(coldstart.QUICK, progress))["coldstart.first_me_ms"] > 0


def test_every_sdk_of_the_requirements_is_imported_for_comparison() -> None:
    """A requirement that is added is measured too."""
    lines = (ROOT / "requirements.in").read_text("utf-8").splitlines()
    names = {line.partition(">")[0].partition("[")[0] for line in lines if line and not line.startswith("#")}
    assert names == set(coldstart.SDKS)


def test_json_is_one_object_on_standard_output() -> None:
    """Progress goes elsewhere."""
    command = [sys.executable, "-m", "bench", "me", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["me.storage_calls"] == 1
    assert "me ..." in done.stderr


def test_all_six_benchmarks_are_run_by_default() -> None:
    """None is forgotten."""
    assert set(BENCHMARKS) == set(KEYS)
