"""The lease of a row: the right to redeem the person's refresh token. Whoever redeems holds it until the result is
saved, and only its holder ends it.

Every lease outlasts the longest token request (shared/clients/http.py), and after it the longest write
(shared/clients/storage.py): tests/shared/test_lease.py adds them up.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.clock import LeaseClock

REQUEST_LEASE = timedelta(seconds=75)
SWEEP_LEASE = timedelta(seconds=120)  # taken for many people at a time, some of whom wait for a thread
REDEMPTION = timedelta(seconds=48)  # a token request and saving its result: what a lease must still last before both
_NONSENSE = timedelta(minutes=10)  # a lease that ends later than this is none, whoever wrote it


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to redeem a person's refresh token. Others wait until it ends.

    Attributes:
        owner: random.
        until: by the clock of the storage service.
    """

    owner: str
    until: datetime

    def is_held(self, clock: LeaseClock) -> bool:
        """May the holder, somebody else, still be at work? Judged by the earliest time that it can be now."""
        return clock() < self.until <= clock.latest() + _NONSENSE

    def covers(self, duration: timedelta, clock: LeaseClock) -> bool:
        """Does our own lease last for so long from now on? Judged by the latest time that it can be now."""
        return clock.latest() + duration <= self.until


def is_owned(lease: Lease | None, owner: str) -> bool:
    """Is there a lease, and is it this owner's?"""
    return lease is not None and lease.owner == owner
