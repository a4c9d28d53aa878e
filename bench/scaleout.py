"""Queue fan-out with one and with two host processes, one slot at a time each: does a second instance halve the time?

At 300 ms token latency a process waits most of the time, so that this machine's cores do not limit two processes.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from bench import people
from bench.endpoint import Counts
from bench.far_end import PROJECT
from bench.figures import Figure
from bench.host_process import HostProcess
from bench.rig import Rig, start_rig
from localdev.progress import Progress
from shared.accounts import SLOTS, Account, all_slots

_FAR = datetime(2100, 1, 1, tzinfo=UTC)
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Size:
    """How many people, how often, and how long a token takes (seconds)."""

    people: int = 3000
    rounds: int = 3
    latency: float = 0.3


QUICK = Size(people=64, rounds=1, latency=0.02)


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measures one host and two hosts in turns, over the same people."""
    with start_rig(SWEEP_FANOUT="queue") as rig, _copy_app() as app:
        people.fill(rig, size.people, progress)
        passes = [_Passes.measure(rig, app, size, progress) for _ in range(size.rounds)]
    one, two = median(each.one for each in passes), median(each.two for each in passes)
    return [
        Figure("scaleout.people", size.people, note="over 16 slots, one message each"),
        Figure("scaleout.seconds_one", one, "s", note="one host, first to last token request"),
        Figure("scaleout.seconds_two", two, "s", note="two hosts"),
        Figure("scaleout.speedup", median(each.one / each.two for each in passes), "x", ">= 1.8"),
        Figure("scaleout.token_calls", sum(each.token_calls for each in passes), "calls", note="of all passes"),
        Figure("scaleout.double_redemptions", sum(each.doubles for each in passes), "", "= 0"),
    ]


@dataclass(frozen=True)
class _Passes:
    """Seconds with one host and with two, and what the endpoint counted in both."""

    one: float
    two: float
    token_calls: int
    doubles: int

    @classmethod
    def measure(cls, rig: Rig, app: Path, size: Size, progress: Progress) -> "_Passes":
        one, two = (_sweep_all(rig, app, size, hosts) for hosts in (1, 2))
        first, second = (each.last_at - each.first_at for each in (one, two))
        progress.say(f"one host {first:.1f} s, two hosts {second:.1f} s")
        doubles = one.double_redemptions + two.double_redemptions
        return cls(first, second, token_calls=one.redeemed + two.redeemed, doubles=doubles)


@contextmanager
def _copy_app() -> Iterator[Path]:
    """Makes a folder with function_app.py and a host.json that takes one message at a time; modules come from the
    project."""
    with tempfile.TemporaryDirectory(prefix="understudy-bench-app-") as name:
        folder = Path(name)
        shutil.copy(PROJECT / "function_app.py", folder)
        host = json.loads((PROJECT / "host.json").read_text("utf-8"))
        one_at_a_time = {"batchSize": 1, "newBatchThreshold": 0, "maxPollingInterval": "00:00:00.2"}
        host["extensions"]["queues"] |= one_at_a_time
        (folder / "host.json").write_text(json.dumps(host), "utf-8")
        yield folder


def _sweep_all(rig: Rig, app: Path, size: Size, hosts: int) -> Counts:
    """Makes everybody due, fires one host's timer, and waits until all hosts together have swept everybody."""
    _make_due(rig)
    with ExitStack() as ending:
        running = [ending.enter_context(HostProcess(rig.environment, app=app)) for _ in range(hosts)]
        rig.far_end.reset(latency=size.latency)
        fired_at = rig.clock()
        running[0].fire("sweep")
        _wait_until_recorded(rig, size.people, fired_at)
        counts = rig.far_end.counts()
    if counts.people != size.people:
        raise RuntimeError(f"{counts.people} of {size.people} people were swept")
    return counts


def _make_due(rig: Rig) -> None:
    """Makes everybody due, first the rows and then the slots, without the mark of their lists: the hosts have the real
    clock, which can't be moved."""
    store, due_at = rig.services.store, rig.clock() - timedelta(minutes=1)
    for slot in all_slots():
        for page in list(store.due(slot, _FAR)):
            for result in store.touch_many([replace(account, due_at=due_at) for account in page]):
                if not isinstance(result, Account):
                    raise result
        row = next(each for each in store.slots() if each.name == slot)
        store.write_slot(replace(row, next_due_at=due_at, index=None))


def _wait_until_recorded(rig: Rig, count: int, since: datetime) -> None:
    """Waits for the slots' records: a record is the last thing that a sweep writes."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        records = [record for record in rig.services.store.recent_sweeps(2 * SLOTS) if record.started_at >= since]
        if sum(record.people for record in records) >= count:
            return
        time.sleep(0.1)
    raise RuntimeError("the hosts did not finish")
