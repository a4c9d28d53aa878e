"""The threads that tasks run in, apart from those that acquire tokens. A task that hangs keeps its thread, but not
everybody's."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class RunningTask:
    """One run of a task in a thread.

    Attributes:
        is_over: did it come to its end?
        is_left_behind: was it late, and does nobody wait for it any more?
    """

    name: str
    is_over: bool = False
    is_left_behind: bool = False


class TaskThreads:
    """At most `2 * most` threads. As many as `most` may hang; the others work.

    Args:
        most: runs at the same time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_per_task = max(most // 4, 1)
        self._pool = ThreadPoolExecutor(2 * most, thread_name_prefix="task")
        self._hanging: Counter[str] = Counter()
        self._lock = threading.Lock()

    def start(self, function: Callable[[], None]) -> None:
        """Runs the function in a thread, when one is free."""
        self._pool.submit(function)

    @contextmanager
    def run(self, name: str) -> Iterator[RunningTask]:
        """Around a run of the task, in its thread."""
        running = RunningTask(name)
        try:
            yield running
        finally:
            with self._lock:
                running.is_over = True
                if running.is_left_behind:
                    self._hanging[name] -= 1

    def leave_behind(self, running: RunningTask) -> None:
        """Counts a run that is late as hanging, until it comes to its end."""
        with self._lock:
            if not running.is_over:
                running.is_left_behind = True
                self._hanging[running.name] += 1

    def hanging(self, name: str) -> int:
        """How many runs of this task hang."""
        return self._hanging[name]

    def may_start(self, name: str) -> bool:
        """May the task be started? Not while a quarter of the threads hang in it, or while it hangs and so many do."""
        with self._lock:
            own = self._hanging[name]
            return own < self._most_per_task and not (own and self._hanging.total() >= self._most)

    def close(self) -> None:
        """Starts nothing more. What hangs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
