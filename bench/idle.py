"""What a tick costs with few and with many people stored: when nobody is due, and when one person per slot is."""

import time
from dataclasses import dataclass
from statistics import median

from bench import people
from bench.figures import Figure
from bench.rig import Rig
from bench.workbench import Workbench
from shared.accounts import SLOTS
from timer_worker.sweep import run_tick

_CALLS_OF_A_TICK = 2  # it reads the hints, and writes its record


@dataclass(frozen=True)
class Size:
    """How many people are stored, and how often everything is measured.

    Attributes:
        several: people of one slot who are due at once, less than a twentieth of the large store's slot.
    """

    small: int = 1_000
    large: int = 100_000
    ticks: int = 200
    rounds: int = 9
    several: int = 4


QUICK = Size(small=500, large=1_500, ticks=3, rounds=1, several=3)


@dataclass(frozen=True)
class _Tick:
    """What one tick took."""

    milliseconds: float
    calls: int


def run(size: Size, bench: Workbench) -> list[Figure]:
    """Measures both stores in turns, so that a busy machine affects them alike."""
    rigs = [bench.rig(count) for count in (size.small, size.large)]
    for rig in rigs:
        rig.settle()
        _run_tick(rig)  # opens the connections, and finds in each slot that nobody is due
    idle = [[_run_tick(rig) for rig in rigs] for _ in range(size.ticks)]
    bench.progress.show("ticks with one person due in each slot")
    for rig in rigs:
        _run_tick_with_due(rig, 1)  # the first sweep of a slot may have more to do
    one_due = [[_run_tick_with_due(rig, 1) for rig in rigs] for _ in range(size.rounds)]
    one = max(each[1].calls for each in one_due)
    several = _run_tick_with_due(rigs[1], size.several).calls
    small, large = (median(each[index].milliseconds for each in idle) for index in (0, 1))
    one_small, one_large = (median(each[index].milliseconds for each in one_due) for index in (0, 1))
    ratio = median(of_large.milliseconds / of_small.milliseconds for of_small, of_large in one_due)
    return [
        Figure("idle.people_small", size.small),
        Figure("idle.people_large", size.large),
        Figure("idle.storage_calls", max(tick.calls for tick in idle[-1]), "calls", "= 1"),
        Figure("idle.ms_small", small, "ms", note=f"median of {size.ticks} ticks"),
        Figure("idle.ms_large", large, "ms"),
        Figure("idle.ratio", large / small, "x", "<= 1.5"),
        Figure("idle.one_due_ms_small", one_small, "ms", note="one person due in each of 16 slots, sample task on"),
        Figure("idle.one_due_ms_large", one_large, "ms"),
        Figure("idle.one_due_ratio", ratio, "x", "<= 1.3"),
        Figure("idle.one_due_calls", one, "calls", note="of the whole tick, many stored"),
        Figure("idle.one_due_calls_per_slot", _calls_per_slot(one, 1), "calls", "<= 7", note="and one per person"),
        Figure(
            "idle.several_due_calls_per_slot",
            _calls_per_slot(several, size.several),
            "calls",
            "<= 7",
            note=f"{size.several} due in each slot, and one per person",
        ),
        Figure("idle.calls_per_further_person", (several - one) / (SLOTS * (size.several - 1)), "calls"),
    ]


def _calls_per_slot(calls: int, people_per_slot: int) -> float:
    """What a slot costs in a tick with so many calls, if each person costs one and the tick itself two."""
    return (calls - _CALLS_OF_A_TICK) / SLOTS - people_per_slot


def _run_tick(rig: Rig) -> _Tick:
    rig.calls.reset()
    began = time.perf_counter()
    run_tick(rig.services)
    return _Tick(1000 * (time.perf_counter() - began), rig.calls.total)


def _run_tick_with_due(rig: Rig, per_slot: int) -> _Tick:
    """Makes the first people of each slot due, and runs one tick. Raises RuntimeError when others were swept."""
    numbers = [number for of_slot in people.first_of_each_slot(per_slot) for number in of_slot]
    for number in numbers:
        people.make_due(rig, number)
    rig.far_end.reset(latency=0.0)
    tick = _run_tick(rig)
    redeemed = rig.far_end.counts().redeemed
    if redeemed != len(numbers):
        raise RuntimeError(f"{len(numbers)} people were due, {redeemed} were swept")
    return tick
