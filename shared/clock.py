"""The clocks. Everything that depends on the time takes a clock, or a time, as an argument.

Leases and claims are shared by many hosts, whose wall clocks may differ by minutes. They are written and judged by a
clock that all hosts share: the storage service's.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

_LATEST = datetime(3000, 1, 1, tzinfo=UTC).timestamp()  # a later Date says nothing: times are added to it
_DATE_RESOLUTION = 2.0
"""Seconds. The header counts whole ones (RFC 9110, 5.6.7), and a server may make its text once a second (ASP.NET Core,
DateHeaderValueManager.cs; Node.js, `utcDate` in lib/internal/http.js)."""
_DRIFT = 0.0005  # a clock that is kept right runs at most so much too fast or too slow: adjtimex(2), 500 ppm


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def counting_pauses() -> float:
    """Seconds since some moment. A pause of the process counts, and one of the whole machine where the system counts
    it (Linux, clock_gettime(2): CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class LeaseClock(Protocol):
    """A clock that is right within bounds."""

    def __call__(self) -> datetime:
        """The earliest time that it can be now: others' leases are judged by it, and ours are written."""
        ...

    def latest(self) -> datetime:
        """The latest time that it can be now: our own leases are judged by it."""
        ...


class _Bounds(NamedTuple):
    """The service's POSIX time minus our seconds, as it was known at `heard_at` (our seconds)."""

    lowest: float
    highest: float
    heard_at: float

    def widened(self, seconds: float) -> "_Bounds":
        """The same at our time `seconds`, when one of the clocks may have drifted."""
        drift = _DRIFT * max(seconds - self.heard_at, 0.0)
        return _Bounds(self.lowest - drift, self.highest + drift, seconds)


class StorageClock:
    """The storage service's clock: a LeaseClock.

    It learns from the `Date` header of each answer, when the answer was made (RFC 9110, 6.6.1), and counts on by a
    clock of this host. The two bounds are two seconds and a round trip apart after the first answer, and come closer
    with others. Where answers contradict each other, the last one counts: somebody has set a clock, or another of the
    service's machines answers. Before the first answer it is this host's wall clock.

    Args:
        seconds: counts seconds, pauses too.
        wall_clock: the time before the first answer.
    """

    def __init__(
        self, *, seconds: Callable[[], float] = counting_pauses, wall_clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.seconds = seconds
        self._wall_clock = wall_clock
        self._bounds: _Bounds | None = None  # replaced as a whole; of two threads' answers one may get lost

    def hear(self, date: str, *, sent: float, received: float) -> None:
        """Learns from an answer.

        Args:
            date: its Date header; what is not a date says nothing.
            sent, received: `seconds` before its request was sent, and after it came.
        """
        try:
            posix = parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            return
        if posix > _LATEST:
            return
        heard = _Bounds(posix - received, posix + _DATE_RESOLUTION - sent, received)
        if self._bounds:
            known = self._bounds.widened(received)
            both = _Bounds(max(heard.lowest, known.lowest), min(heard.highest, known.highest), received)
            heard = both if both.lowest <= both.highest else heard
        self._bounds = heard

    def __call__(self) -> datetime:
        """See LeaseClock."""
        return self._at(lambda bounds: bounds.lowest)

    def latest(self) -> datetime:
        """See LeaseClock."""
        return self._at(lambda bounds: bounds.highest)

    def _at(self, bound: Callable[[_Bounds], float]) -> datetime:
        if self._bounds is None:
            return self._wall_clock()
        now = self.seconds()
        return datetime.fromtimestamp(bound(self._bounds.widened(now)) + now, UTC)
