"""Runs one sweep with the environment's settings: `python -m bench.one_sweep` prints one JSON object.

It is a process of its own because peak memory belongs to a process, which must not have filled the storage as well.
"""

import json
import os
import re
import sys
from pathlib import Path

from shared.services import Services
from shared.settings import load
from shared.sweep_queue import due_slots
from timer_worker.sweep import Sweep

_STATUS = Path("/proc/self/status")


def peak_mb() -> float:
    """This process's highest resident memory so far, in MiB; 0 where the system doesn't say.

    Uses /proc where there is one: a child's ru_maxrss starts with its parent's memory at the fork (getrusage(2)).
    """
    if _STATUS.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text("ascii"))
        return int(found[1]) / 1024 if found else 0.0
    if sys.platform == "win32":
        return 0.0
    import resource  # noqa: PLC0415 - there is none on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Sweeps everybody who is due, without tasks."""
    app = Services(load(os.environ))
    before = peak_mb()
    record = Sweep(app, tasks=()).run(due_slots(app.store, app.now()))
    print(json.dumps({"counts": record.counts if record else {}, "before_mb": before, "peak_mb": peak_mb()}))
    app.close()


if __name__ == "__main__":
    main()
