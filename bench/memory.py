"""Does a sweep's memory grow with the number of people? Peak RSS over few, over many and over very many."""

from dataclasses import dataclass
from statistics import median

from bench.figures import Figure
from bench.sweep_processes import Report, sweep_in_processes
from bench.workbench import Workbench


@dataclass(frozen=True)
class Size:
    """How many people, and how often the first two are measured. `huge` is measured once: it takes minutes."""

    small: int = 1_000
    large: int = 20_000
    huge: int = 100_000
    rounds: int = 3


QUICK = Size(small=50, large=150, huge=300, rounds=1)


def run(size: Size, bench: Workbench) -> list[Figure]:
    """Measures the sweeps in turns, each in a new process."""
    pairs = [tuple(_sweep(bench, count) for count in (size.small, size.large)) for _ in range(size.rounds)]
    huge = _sweep(bench, size.huge)
    small, large = (median(pair[index].peak_mb for pair in pairs) for index in (0, 1))
    before = median(pair[0].before_mb for pair in pairs)
    growth = median(pair[1].peak_mb - pair[0].peak_mb for pair in pairs)
    return [
        Figure("memory.people_small", size.small),
        Figure("memory.people_large", size.large),
        Figure("memory.people_huge", size.huge),
        Figure("memory.rss_mb_before", before, "MiB", note="everything imported, nothing swept"),
        Figure("memory.rss_mb_small", small, "MiB", note="peak"),
        Figure("memory.rss_mb_large", large, "MiB", note="peak"),
        Figure("memory.rss_mb_huge", huge.peak_mb, "MiB", note="peak"),
        Figure("memory.ratio", large / small if small else 0.0, "x", "<= 1.2"),
        Figure("memory.growth_mb", growth, "MiB", "<= 12", note="from few to many"),
        Figure("memory.ratio_huge", huge.peak_mb / large if large else 0.0, "x", "<= 1.05", note="very many to many"),
    ]


def _sweep(bench: Workbench, count: int) -> Report:
    rig = bench.rig(count)
    bench.progress.show(f"sweeping {count} people in a process of its own")
    report = sweep_in_processes(rig, count).reports[0]
    bench.progress.say(f"{count} people: {report.peak_mb:.0f} MiB at the peak, {report.seconds:.0f} s")
    return report
