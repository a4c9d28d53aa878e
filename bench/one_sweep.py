"""Runs one sweep with the environment's settings, as a process: peak memory and CPU time belong to a process.

`python -m bench.one_sweep --ahead SECONDS` prints a line when everything is imported, waits for a line on standard
input, sweeps everybody who is due, and prints one JSON object (`bench.sweep_processes.Report`).
"""

import argparse
import json
import os
import re
import sys
import time
from datetime import timedelta
from pathlib import Path

from shared.clock import utc_now
from shared.services import Services
from shared.settings import load
from shared.sweep_queue import due_slots
from timer_worker.sweep import Sweep

_STATUS = Path("/proc/self/status")
_TIME_LIMIT = timedelta(hours=1)  # more people than one instance sweeps in a tick


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
    parser = argparse.ArgumentParser(prog="python -m bench.one_sweep")
    parser.add_argument("--ahead", type=float, default=0.0, help="seconds by which the app's clock is ahead")
    ahead = timedelta(seconds=parser.parse_args().ahead)
    app = Services(load(os.environ), now=lambda: utc_now() + ahead)
    before = peak_mb()
    print("ready", flush=True)
    if not sys.stdin.readline():  # whoever started this process is gone
        return
    began, cpu = time.monotonic(), time.process_time()
    record = Sweep(app, tasks=(), time_limit=_TIME_LIMIT).run(due_slots(app.store, app.now()))
    report = {
        "counts": record.counts if record else {},
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
        "before_mb": before,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(report), flush=True)
    app.close()


if __name__ == "__main__":
    main()
