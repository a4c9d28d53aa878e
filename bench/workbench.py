"""What the benchmarks of one run share: the progress that is shown, and storage with people, which is filled once."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from bench import people
from bench.rig import SWEEP_EVERY, Rig, start_rig
from localdev.progress import Progress


class Workbench:
    """Keeps the storages with people from entering to leaving.

    Attributes:
        progress: where benchmarks show what they do.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._ending = ExitStack()
        self._rigs: dict[int, Rig] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rigs.clear()
        self._ending.close()

    def rig(self, count: int) -> Rig:
        """Everything that a benchmark needs, with `count` people in storage.

        Nobody is due for an hour. After `Rig.make_everybody_due` and a sweep, the next moment of a slot may be close.
        """
        if count not in self._rigs:
            rig = self._ending.enter_context(start_rig())
            people.fill(rig, count, self.progress, due_at=rig.clock() + SWEEP_EVERY)
            self.progress.say(f"{count} people stored")
            self._rigs[count] = rig
        return self._rigs[count]
