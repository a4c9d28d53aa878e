"""A loop that keeps one core busy: `python -m bench.busy`."""

import contextlib
from collections.abc import Iterator

from bench.far_end import PROJECT
from localdev.lifeline import Child


@contextlib.contextmanager
def busy_loop() -> Iterator[None]:
    """Runs the loop in a process of its own, beside whatever happens meanwhile."""
    child = Child(["bench.busy"], folder=PROJECT)
    try:
        yield
    finally:
        child.stop()


def main() -> None:
    """Loops until it is interrupted."""
    while True:
        pass


if __name__ == "__main__":
    main()
