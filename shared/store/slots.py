"""The row of one slot: a hint of when somebody in it is due, the claim of the sweep that is at work in it, and
whether its accounts are all in lists.

Pure values; `AccountStore.write_slot` writes them. protocol.py says in which order.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

CLAIM = timedelta(seconds=90)  # renewed while the sweep is at work; after a crash the slot is free when it is over
FIRST_EDITION_CLAIM = timedelta(minutes=10)  # never renewed
LONGEST_RUN = timedelta(minutes=10)  # of a sweep: host.json's functionTimeout
FARTHEST_HINT = timedelta(days=2)
INDEX_LASTS = timedelta(days=1)  # so a list that got lost costs nobody more than a day
_BETWEEN_CLOCKS = timedelta(seconds=30)  # how far the lease clocks of two instances may be apart


@dataclass(frozen=True, slots=True)
class Index:
    """Says that every account of a slot is in a list of those who are due.

    Attributes:
        rows: how many accounts the slot has, about.
        made_at: when the whole slot was last read for it, by the instance's clock.
    """

    rows: int
    made_at: datetime

    def is_good(self, now: datetime) -> bool:
        """May a sweep go by the lists? Not when they were made long ago, or by a clock that was wrong."""
        return abs(now - self.made_at) < INDEX_LASTS


@dataclass(frozen=True, slots=True)
class Slot:
    """The row of one slot.

    While a sweep of ours holds the slot, `next_due_at` is the end of its claim, because instances of the first edition
    look at nothing else. Another value says that somebody lowered the hint. Instances of the first edition replace the
    row, without `claim_owner`, `first_claimed_at` and `index`; their own claims have `claimed_until` alone.

    Attributes:
        next_due_at: a lower bound of the due times of the accounts in this slot; EPOCH when the row has none of use.
        etag: of the row; None when the slot has no row yet (then it counts as due).
        claim_owner: the sweep that holds the slot, or held it when it died; "" when none does.
        claimed_until: the end of its claim, by the lease clock.
        first_claimed_at: when a sweep first claimed the slot since one last left nobody in it behind; None when none
            is under way.
        index: None when the slot's accounts must be listed anew: they never were, or an instance of the first edition,
            which makes no lists, has replaced the row.
    """

    name: str
    next_due_at: datetime
    etag: str | None = None
    claim_owner: str = ""
    claimed_until: datetime | None = None
    first_claimed_at: datetime | None = None
    index: Index | None = None

    @property
    def overdue_from(self) -> datetime:
        """Later than this a sweep should have come by, and left nobody behind: the claim of a sweep that died is no
        sign of life."""
        if self.first_claimed_at is None:
            return self.next_due_at
        return min(self.next_due_at, self.first_claimed_at + LONGEST_RUN)

    @property
    def is_lowered(self) -> bool:
        """Did somebody become due earlier than the claim ends?"""
        return self.claimed_until is None or self.next_due_at != self.claimed_until

    def is_claimed(self, lease_now: datetime) -> bool:
        """Is a sweep at work here? A claim that ends later than any claim can is none: nobody may hold a slot for
        years because of a wrong clock."""
        longest = CLAIM if self.claim_owner else FIRST_EDITION_CLAIM
        return (
            self.claimed_until is not None and lease_now < self.claimed_until <= lease_now + longest + _BETWEEN_CLOCKS
        )

    def is_due(self, now: datetime, lease_now: datetime, *, farthest: timedelta = FARTHEST_HINT) -> bool:
        """May a sweep begin here? Not while another is at work.

        Args:
            farthest: a hint that is farther ahead of `now` makes no sense, and counts as due.
        """
        if self.is_claimed(lease_now):
            return False
        ended = bool(self.claim_owner) and not self.is_lowered  # the hint is a claim's end, and that claim is over
        return ended or not now < self.next_due_at <= now + farthest

    def claim(self, owner: str, lease_now: datetime) -> Self:
        """The row with a claim of this sweep."""
        until = lease_now + CLAIM
        first = self.first_claimed_at or lease_now
        return replace(self, next_due_at=until, claim_owner=owner, claimed_until=until, first_claimed_at=first)

    def renew(self, owner: str, lease_now: datetime) -> Self:
        """The row with a longer claim. A hint that was lowered stays, for when the claim ends."""
        renewed = self.claim(owner, lease_now)
        return replace(renewed, next_due_at=self.next_due_at) if self.is_lowered else renewed

    def release(self, next_due_at: datetime, *, finished: bool) -> Self:
        """The row without a claim.

        Args:
            finished: the sweep left nobody behind who was due when it came.
        """
        first = None if finished else self.first_claimed_at
        return replace(self, next_due_at=next_due_at, claim_owner="", claimed_until=None, first_claimed_at=first)

    def lower(self, due_at: datetime) -> Self:
        """The row after an account became due at `due_at`. The claim stays, and excludes others until it ends."""
        return replace(self, next_due_at=min(self.next_due_at, due_at) if self.etag else due_at)

    def is_still_of(self, held: Self, lease_now: datetime) -> bool:
        """Does the row still belong to the sweep whose claim is `held`?

        A row without an owner was replaced by an instance of the first edition. It lowered the hint when that lies
        within our claim; its own claim ends later than ours.
        """
        if self.claim_owner:
            return self.claim_owner == held.claim_owner
        return held.is_claimed(lease_now) and held.claimed_until is not None and self.next_due_at <= held.claimed_until
