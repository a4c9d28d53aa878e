"""What a tick costs with few and with many people stored: when nobody is due, and when one person per slot is."""

import itertools
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median

from bench import people
from bench.figures import Figure
from bench.rig import Rig, start_rig
from localdev.progress import Progress
from shared.accounts import SLOTS, slot_of
from timer_worker.sweep import run_tick


@dataclass(frozen=True)
class Size:
    """How many people are stored, and how often everything is measured."""

    small: int = 1_000
    large: int = 50_000
    ticks: int = 200
    rounds: int = 5


QUICK = Size(small=120, large=240, ticks=3, rounds=1)


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measures both stores in turns, so that a busy machine affects them alike."""
    with ExitStack() as ending:
        rigs = [ending.enter_context(start_rig()) for _ in range(2)]
        for rig, count in zip(rigs, (size.small, size.large), strict=True):
            people.fill(rig, count, progress, due_at=rig.clock() + timedelta(hours=12))
            progress.say(f"{count} people stored, nobody due")
        for rig in rigs:
            _run_tick(rig)  # opens the connections
        idle = [[_run_tick(rig) for rig in rigs] for _ in range(size.ticks)]
        calls = []
        for rig in rigs:
            rig.calls.reset()
            _run_tick(rig)
            calls.append(rig.calls.total)
        progress.show("ticks with one person due in each slot")
        one_due = [[_run_tick_with_one_due(rig) for rig in rigs] for _ in range(size.rounds)]
        redeemed = [rig.far_end.counts().redeemed for rig in rigs]
    if redeemed != [SLOTS * size.rounds] * 2:
        raise RuntimeError(f"one person per slot was due, {redeemed} were swept")
    small, large = (median(each[index] for each in idle) for index in (0, 1))
    one_small, one_large = (median(each[index] for each in one_due) for index in (0, 1))
    return [
        Figure("idle.people_small", size.small),
        Figure("idle.people_large", size.large),
        Figure("idle.storage_calls", max(calls), "calls", "= 1"),
        Figure("idle.ms_small", small, "ms", note=f"median of {size.ticks} ticks"),
        Figure("idle.ms_large", large, "ms"),
        Figure("idle.ratio", large / small, "x", "<= 1.5"),
        Figure("idle.one_due_ms_small", one_small, "ms", note="one person due in each of 16 slots, sample task on"),
        Figure("idle.one_due_ms_large", one_large, "ms", note="by due lists"),
    ]


def _run_tick(rig: Rig) -> float:
    """Runs one tick. Returns its milliseconds."""
    began = time.perf_counter()
    run_tick(rig.services)
    return 1000 * (time.perf_counter() - began)


def _run_tick_with_one_due(rig: Rig) -> float:
    """Makes the first person of each slot due, and runs one tick. Returns its
    milliseconds."""
    store, now = rig.services.store, rig.clock()
    first: dict[str, int] = {}
    for number in itertools.count():
        if len(first) == SLOTS:
            break
        first.setdefault(slot_of(people.account_id(number)), number)
    for number in first.values():
        account = store.get(people.account_id(number))
        assert account, "it was stored"
        store.wake(replace(account, due_at=now))
    return _run_tick(rig)
