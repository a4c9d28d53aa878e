"""Sweeps in processes of their own (`bench.one_sweep`), one or several at once over the same people."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from bench.far_end import PROJECT
from bench.rig import Rig


@dataclass(frozen=True)
class Report:
    """What one process did.

    Attributes:
        counts: people by outcome.
        cpu_seconds: the process's CPU time from the start of the sweep to its end.
        before_mb, peak_mb: peak RSS before and after the sweep, in MiB.
    """

    counts: Mapping[str, int]
    seconds: float
    cpu_seconds: float
    before_mb: float
    peak_mb: float


@dataclass(frozen=True)
class Sweeps:
    """What all processes did.

    Attributes:
        reports: one per process.
        double_redemptions: refresh tokens that were used twice, and people who were redeemed twice.
    """

    people: int
    reports: tuple[Report, ...]
    double_redemptions: int

    @property
    def rate(self) -> float:
        """People per second."""
        return self.people / max(each.seconds for each in self.reports)

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU time per person, of all processes together."""
        return 1000 * sum(each.cpu_seconds for each in self.reports) / self.people


def sweep_in_processes(rig: Rig, people: int, *, processes: int = 1, latency: float = 0.0) -> Sweeps:
    """Makes everybody due and lets the processes sweep them at once; the slots' claims decide who sweeps whom.

    Raises:
        RuntimeError: not everybody got a fresh token.
    """
    rig.make_everybody_due()
    command = [sys.executable, "-m", "bench.one_sweep", "--ahead", str(rig.clock.ahead.total_seconds())]
    started = [
        subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**os.environ, **rig.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    try:
        for each in started:
            assert each.stdout, "it is a pipe"
            each.stdout.readline()
        rig.far_end.reset(latency=latency)
        for each in started:
            assert each.stdin, "it is a pipe"
            each.stdin.write("go\n")
            each.stdin.flush()
        outputs = [each.communicate()[0] for each in started]
    finally:
        for each in started:
            each.kill()
            each.communicate()
    if any(each.returncode for each in started):
        raise RuntimeError("a process that swept has failed")
    reports = tuple(Report(**json.loads(output)) for output in outputs)
    counts = rig.far_end.counts()
    fresh = sum(each.counts.get("fresh", 0) for each in reports)
    if not fresh == counts.people == people or any(set(each.counts) - {"fresh"} for each in reports):
        raise RuntimeError(f"not everybody got a fresh token: {[each.counts for each in reports]}")
    return Sweeps(people, reports, counts.double_redemptions + counts.redeemed - counts.people)
