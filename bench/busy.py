"""A loop that keeps one core busy: `python -m bench.busy`."""

import contextlib
import subprocess
from collections.abc import Iterator

from bench.far_end import PROJECT
from localdev.lifeline import Child


@contextlib.contextmanager
def busy_loop() -> Iterator[subprocess.Popen[bytes]]:
    """Runs the loop as a process, beside whatever happens meanwhile."""
    child = Child(["bench.busy"], folder=PROJECT)
    try:
        yield child.process
    finally:
        child.stop()


def main() -> None:
    """Loops until it is interrupted."""
    while True:
        pass


if __name__ == "__main__":
    main()
