"""Two worker processes (FUNCTIONS_WORKER_PROCESS_COUNT) over the same due people: what does sharing cost?"""

from dataclasses import dataclass
from statistics import median

from bench.figures import Figure
from bench.sweep import LATENCY
from bench.sweep_processes import Sweeps, sweep_in_processes
from bench.workbench import Workbench


@dataclass(frozen=True)
class Size:
    """How many people, and how often."""

    people: int = 3000
    rounds: int = 3


QUICK = Size(people=160, rounds=1)


def run(size: Size, bench: Workbench) -> list[Figure]:
    """Sweeps with one process and with two in turns."""
    rig = bench.rig(size.people)
    ones: list[Sweeps] = []
    twos: list[Sweeps] = []
    for number in range(1, size.rounds + 1):
        for processes, sweeps in ((1, ones), (2, twos)):
            bench.progress.show(f"round {number} of {size.rounds}: worker processes: {processes}")
            sweeps.append(sweep_in_processes(rig, size.people, processes=processes, latency=LATENCY))
    ratio = median(two.cpu_ms / one.cpu_ms for one, two in zip(ones, twos, strict=True))
    shares = [max(report.counts.get("fresh", 0) for report in each.reports) / size.people for each in twos]
    return [
        Figure("workers.people", size.people, note="at 100 ms token latency"),
        Figure("workers.rate_one", median(each.rate for each in ones), "people/s", note="one process"),
        Figure("workers.rate_two", median(each.rate for each in twos), "people/s", note="two processes"),
        Figure("workers.cpu_ms_one", median(each.cpu_ms for each in ones), "ms/person"),
        Figure("workers.cpu_ms_two", median(each.cpu_ms for each in twos), "ms/person", note="both together"),
        Figure("workers.cpu_ratio", ratio, "x", "<= 1.15"),
        Figure("workers.larger_share", median(shares), "", note="of the people, swept by the busier of two"),
        Figure("workers.double_redemptions", sum(each.double_redemptions for each in (*ones, *twos)), "", "= 0"),
    ]
