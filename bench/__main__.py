"""python -m bench [name …] [--json] [--quick]: measures the app and its baselines side by side."""

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
    """A benchmark's function and its two sizes."""

    run: Callable[[Any, Progress], list[Figure]]
    full: Any
    quick: Any


BENCHMARKS: Mapping[str, Benchmark] = {
    module.__name__.removeprefix("bench."): Benchmark(module.run, module.Size(), module.QUICK)
    for module in (sweep, memory, idle, scaleout, me, coldstart)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs benchmarks. Returns 0 when all ran, even if a target was missed; 1 when one failed."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR)
    progress = Progress(sys.stderr)
    figures: list[Figure] = []
    try:
        for name in options.names or BENCHMARKS:
            began = time.monotonic()
            progress.say(f"{name} ...")
            benchmark = BENCHMARKS[name]
            found = benchmark.run(benchmark.quick if options.quick else benchmark.full, progress)
            progress.say(f"{name}: {time.monotonic() - began:.0f} s")
            figures += found
            if not options.json:
                print(f"{table(found)}\n", flush=True)
    except (AzuriteError, RuntimeError) as error:
        progress.say(f"bench: {error}")
        return 1
    print(as_json(figures) if options.json else machine())
    return 0


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
    return parser


if __name__ == "__main__":
    sys.exit(main())
