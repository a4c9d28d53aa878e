"""Every benchmark runs, with few people. Tests check counts, never seconds."""

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

# These names stay the same, so that figures can be compared over time.
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
    """A progress that shows nothing."""
    return Progress(io.StringIO())


def test_a_sweep_asks_once_for_everybody_and_shares_its_storage_calls(progress: Progress) -> None:
    """A sweep asks for each person's token once and uses no refresh token twice."""
    size = sweep.QUICK
    found = by_key(sweep.run(size, progress))
    assert found["sweep.token_calls"] == found["sweep.graph_calls_task"] == size.people
    assert found["sweep.double_redemptions"] == 0
    # Two calls for the tick. Each slot costs its claim, the making of lists, two reads and a write of them, one page,
    # its transactions and the hint.
    assert found["sweep.storage_calls"] <= 2 + 16 * (4 + 4) + size.people / 4


def test_nobody_waits_for_the_person_before_them_once_the_credentials_are_proven(progress: Progress) -> None:
    """With fewer people than threads, the first goes alone and all others go at once."""
    with start_rig() as rig:
        people.fill(rig, 48, progress)
        sweep.sweep_once(rig, rig.services, latency=0.25)
        assert rig.far_end.counts().most_at_once >= 8


def test_memory_is_measured_in_a_process_that_swept_everybody(progress: Progress) -> None:
    """A sweep reports how much memory it took."""
    found = by_key(memory.run(memory.Size(small=20, large=40), progress))
    assert found["memory.rss_mb_before"] <= found["memory.rss_mb_small"]


def test_an_idle_tick_is_one_read_however_many_people_are_stored(progress: Progress) -> None:
    """When nobody is due, a tick reads one page of sixteen hints."""
    assert by_key(idle.run(idle.QUICK, progress))["idle.storage_calls"] == 1


def test_two_hosts_redeem_everybody_once(progress: Progress) -> None:
    """Both passes, with one host and with two, redeem each person once."""
    found = by_key(scaleout.run(scaleout.QUICK, progress))
    assert found["scaleout.token_calls"] == 2 * scaleout.QUICK.people
    assert found["scaleout.double_redemptions"] == 0


def test_me_reads_once_and_writes_nothing(progress: Progress) -> None:
    """With a cached token, one read is all."""
    found = by_key(me.run(me.QUICK, progress))
    assert found["me.storage_calls"] == 1
    assert found["me.storage_writes"] == found["me.token_calls"] == 0


def test_the_app_starts_and_serves_me_to_somebody_who_signed_in_before(progress: Progress) -> None:
    """A new process opens the cookie and the token cache of the one before."""
    assert by_key(coldstart.run(coldstart.QUICK, progress))["coldstart.first_me_ms"] > 0


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


def test_all_six_benchmarks_are_run_by_default() -> None:
    """By default every benchmark runs."""
    assert set(BENCHMARKS) == set(KEYS)
