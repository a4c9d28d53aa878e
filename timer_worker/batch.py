"""Collects rows that are written together: as many as one transaction takes, or what comes in a quarter of a second."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

_MOST = 100
LONGEST_SECONDS = 0.25

T = TypeVar("T")


class Batch(Generic[T]):
    """Collects items until they must be written.

    Args:
        longest: seconds that the first item waits. With 0.0 a batch is what has arrived.
        clock: seconds that only grow.
    """

    def __init__(self, *, longest: float = LONGEST_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._items: list[T] = []
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        """Does it hold as many items as one transaction takes?"""
        return len(self._items) >= _MOST

    def add(self, item: T) -> None:
        """Adds an item. The first one starts the clock."""
        if not self._items:
            self._since = self._clock()
        self._items.append(item)

    @property
    def seconds_left(self) -> float | None:
        """The time until the batch must be written: 0.0 when it must be now, None when it is empty."""
        if not self._items:
            return None
        if self.is_full:
            return 0.0
        return max(self._since + self._longest - self._clock(), 0.0)

    def take(self) -> list[T]:
        """Removes and returns all items."""
        items, self._items = self._items, []
        return items
