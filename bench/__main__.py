"""python -m bench [name …] [--json] [--quick]: benchmarks of the app beside their baselines."""

import argparse
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import coldstart, idle, me, memory, scaleout, sweep
from bench.figures import Figure, as_json, table
from localdev.azurite import AzuriteError
from localdev.progress import Progress


@dataclass(frozen=True)
class Benchmark:
    """What it runs, and its two sizes."""

    run: Callable[[Any, Progress], list[Figure]]
    full: Any
    quick: Any


BENCHMARKS: Mapping[str, Benchmark] = {
    module.__name__.removeprefix("bench."): Benchmark(module.run, module.Size(), module.QUICK)
    for module in (sweep, memory, idle, scaleout, me, coldstart)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything ran, whether targets were met or not; 1 when a benchmark failed."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR)
    progress = Progress(sys.stderr)
    figures: list[Figure] = []
    try:
        for name in options.names or BENCHMARKS:
            found = _run(name, progress, quick=options.quick)
            figures += found
            if not options.json:
                print(f"{table(found)}\n", flush=True)
    except (AzuriteError, RuntimeError) as error:
        progress.say(f"bench: {error}")
        return 1
    print(as_json(figures) if options.json else machine())
    return 0


def machine() -> str:
    """Where the figures are from."""
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores shared by everything, {system}"


def _run(name: str, progress: Progress, *, quick: bool) -> list[Figure]:
    began = time.monotonic()
    progress.say(f"{name} ...")
    benchmark = BENCHMARKS[name]
    found = benchmark.run(benchmark.quick if quick else benchmark.full, progress)
    progress.say(f"{name}: {time.monotonic() - began:.0f} s")
    return found


def _known(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"there are {', '.join(BENCHMARKS)}")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("names", nargs="*", type=_known, metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print one JSON object: key -> value")
    parser.add_argument("--quick", action="store_true", help="very few people: shows that it works, measures nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
