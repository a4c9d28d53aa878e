"""Markers of effects that must not happen twice, and what a store of them can do.

A marker is written before a call is sent, and gets the answer's status afterwards. So whoever finds one that is not
theirs knows that the call was sent, or may have been.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from shared.accounts import slot_of

KEPT = timedelta(days=35)  # longer than any run is retried


@dataclass(frozen=True, slots=True)
class Marker:
    """One effect of one task, for one person and one occurrence.

    Attributes:
        name: which of the task's effects.
        occurrence: the local date or the time of the run.
        owner: random, of the try that wrote it.
        status: of the answer; None before there is one.
        answer_id: the id that the answer has; "" when it has none.
    """

    account_id: str
    task: str
    occurrence: str
    name: str
    owner: str
    made_at: datetime
    status: int | None = None
    answer_id: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What only one marker has."""
        return self.account_id, self.task, self.occurrence, self.name


class MarkerStore(Protocol):
    """Keeps markers. All methods raise StoreUnavailable."""

    def insert(self, marker: Marker) -> Marker:
        """Keeps the marker if there is none like it. Returns the one that is kept now: the other's, or this one, also
        when it was kept by a try whose answer was lost."""
        ...

    def finish(self, marker: Marker) -> None:
        """Keeps the status and the answer's id."""
        ...

    def remove(self, marker: Marker) -> None:
        """Removes the marker."""
        ...

    def purge(self, slot: str, before: datetime) -> int:
        """Removes the slot's markers that were made before this time. Returns how many."""
        ...


class MemoryMarkers:
    """`MarkerStore` in a dict."""

    def __init__(self) -> None:
        self._markers: dict[tuple[str, str, str, str], Marker] = {}
        self._lock = threading.Lock()

    def insert(self, marker: Marker) -> Marker:
        """See MarkerStore."""
        with self._lock:
            return self._markers.setdefault(marker.key, marker)

    def finish(self, marker: Marker) -> None:
        """See MarkerStore."""
        with self._lock:
            self._markers[marker.key] = marker

    def remove(self, marker: Marker) -> None:
        """See MarkerStore."""
        with self._lock:
            self._markers.pop(marker.key, None)

    def purge(self, slot: str, before: datetime) -> int:
        """See MarkerStore."""
        with self._lock:
            old = [key for key, each in self._markers.items() if slot_of(key[0]) == slot and each.made_at < before]
            for key in old:
                del self._markers[key]
        return len(old)
