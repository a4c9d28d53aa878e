"""Does a sweep's memory grow with the number of people? Peak RSS over few and over many."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench import people
from bench.far_end import PROJECT
from bench.figures import Figure
from bench.rig import start_rig
from localdev.progress import Progress


@dataclass(frozen=True)
class Size:
    """How many people."""

    small: int = 1_000
    large: int = 20_000


QUICK = Size(small=50, large=150)


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measures both sweeps, each in a new process on new storage."""
    small, before = _measure_peak(size.small, progress)
    large, _ = _measure_peak(size.large, progress)
    return [
        Figure("memory.people_small", size.small),
        Figure("memory.people_large", size.large),
        Figure("memory.rss_mb_before", before, "MiB", note="everything imported, nothing swept"),
        Figure("memory.rss_mb_small", small, "MiB", note="peak"),
        Figure("memory.rss_mb_large", large, "MiB", note="peak"),
        Figure("memory.ratio", large / small if small else 0.0, "x", "<= 1.2"),
    ]


def _measure_peak(count: int, progress: Progress) -> tuple[float, float]:
    """Sweeps `count` people in a new process. Returns its peak RSS, and the RSS before the sweep, in MiB."""
    with start_rig() as rig:
        people.fill(rig, count, progress, due_at=rig.clock() - timedelta(minutes=1))
        progress.show(f"sweeping {count} people in a process of its own")
        command = [sys.executable, "-m", "bench.one_sweep"]
        environment = {**os.environ, **rig.environment}
        done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        if found["counts"] != {"fresh": count} or rig.far_end.counts().redeemed != count:
            raise RuntimeError(f"not everybody got a fresh token: {found}")
    progress.say(f"{count} people: {found['peak_mb']:.0f} MiB at the peak")
    return found["peak_mb"], found["before_mb"]
