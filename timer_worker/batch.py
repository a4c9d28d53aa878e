"""Collects rows that are written together: as many as one transaction takes, or what comes in a quarter of a second."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

_MOST = 100
_LONGEST_SECONDS = 0.25

T = TypeVar("T")


class Batch(Generic[T]):
    """Collects items until they must be written.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._items: list[T] = []
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._items)

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
        if len(self._items) >= _MOST:
            return 0.0
        return max(self._since + _LONGEST_SECONDS - self._clock(), 0.0)

    def take(self) -> list[T]:
        """Removes and returns all items."""
        items, self._items = self._items, []
        return items
