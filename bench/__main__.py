"""python -m bench [name …] [options]: measures the app and its baselines side by side."""

import argparse
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import coldstart, idle, me, memory, scaleout, sweep, workers
from bench.busy import busy_loop
from bench.figures import Figure, as_json, table
from bench.workbench import Workbench
from localdev.azurite import AzuriteError
from localdev.progress import Progress


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's function and its two sizes."""

    run: Callable[[Any, Workbench], list[Figure]]
    full: Any
    quick: Any


BENCHMARKS: Mapping[str, Benchmark] = {
    module.__name__.removeprefix("bench."): Benchmark(module.run, module.Size(), module.QUICK)
    for module in (sweep, workers, scaleout, me, coldstart, idle, memory)
}
"""In the order in which they are run: `idle` needs people who are not due, and `memory` sweeps the same ones."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs benchmarks. Returns 0 when all ran, even if a target was missed; 1 when one failed."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR)
    progress = Progress(sys.stderr)
    figures: list[Figure] = []
    try:
        with Workbench(progress) as bench, ExitStack() as beside:
            if options.busy:
                beside.enter_context(busy_loop())
            for name, benchmark in BENCHMARKS.items():
                if options.names and name not in options.names:
                    continue
                began = time.monotonic()
                progress.say(f"{name} ...")
                found = benchmark.run(_size(name, options), bench)
                progress.say(f"{name}: {time.monotonic() - began:.0f} s")
                figures += found
                if not options.json:
                    print(f"{table(found)}\n", flush=True)
    except (AzuriteError, RuntimeError) as error:
        progress.say(f"bench: {error}")
        return 1
    print(as_json(figures) if options.json else machine())
    return 0


def _size(name: str, options: argparse.Namespace) -> Any:
    size = BENCHMARKS[name].quick if options.quick else BENCHMARKS[name].full
    return replace(size, beside=options.beside.resolve()) if name == "coldstart" and options.beside else size


def machine() -> str:
    """The machine that the figures are from."""
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores shared by everything, {system}"


def _known(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"there are {', '.join(BENCHMARKS)}")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("names", nargs="*", type=_known, metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print one JSON object: key -> value")
    parser.add_argument("--quick", action="store_true", help="very few people: shows that it runs, measures nothing")
    parser.add_argument("--busy", action="store_true", help="run a busy loop beside everything")
    parser.add_argument("--beside", type=Path, metavar="DIR", help="coldstart: another checkout to compare with")
    return parser


if __name__ == "__main__":
    sys.exit(main())
