"""Leases: who holds one, who may change one, and that every lease outlasts the work that it covers."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.accounts import REDEMPTION, REQUEST_LEASE, SWEEP_LEASE, Account, Lease, rebased
from shared.clients.http import LONGEST_SECONDS
from shared.clients.storage import LONGEST_CALL_SECONDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MARGIN = timedelta(seconds=5)  # for a clock that is known to within two seconds, and our own work in between
OURS, THEIRS = Lease("ours", NOW + REQUEST_LEASE), Lease("theirs", NOW + REQUEST_LEASE)
READ = Account(account_id="ada", due_at=NOW, etag="1")


@dataclass
class BoundedClock:
    """It is `seconds` after NOW, or up to two seconds later."""

    seconds: float

    def __call__(self) -> datetime:
        """The earliest that it can be."""
        return NOW + timedelta(seconds=self.seconds)

    def latest(self) -> datetime:
        """The latest that it can be."""
        return self() + timedelta(seconds=2)


@pytest.mark.parametrize("lease", [REQUEST_LEASE, SWEEP_LEASE], ids=["request", "sweep"])
def test_a_lease_outlasts_a_token_request_and_then_a_write_with_its_retries(lease: timedelta) -> None:
    """A holder whose far ends answer, however late, has saved before anybody else may redeem."""
    longest = timedelta(seconds=LONGEST_SECONDS + LONGEST_CALL_SECONDS)
    assert longest + MARGIN < lease


def test_what_a_lease_must_last_before_a_token_request_covers_it_and_the_write_after_it() -> None:
    """After the slowest write of a lease there is as much left: no second one is needed then."""
    assert timedelta(seconds=LONGEST_SECONDS + LONGEST_CALL_SECONDS) + MARGIN <= REDEMPTION
    assert REDEMPTION + timedelta(seconds=LONGEST_CALL_SECONDS) + MARGIN <= REQUEST_LEASE


@pytest.mark.parametrize(
    ("seconds", "held", "covers"),
    [(0, True, True), (27, True, True), (29, True, False), (59, True, False), (60, False, False), (-900, False, True)],
)
def test_others_leases_end_by_the_earliest_time_and_ours_by_the_latest(
    seconds: float, held: bool, covers: bool
) -> None:
    """A lease that ends in a quarter of an hour was not written by this clock, and binds nobody."""
    lease = Lease("somebody", NOW + timedelta(seconds=60))
    assert lease.is_held(BoundedClock(seconds)) is held
    assert lease.covers(timedelta(seconds=31), BoundedClock(seconds)) is covers


@pytest.mark.parametrize("there", [None, THEIRS], ids=["nobody's", "another's"])
def test_the_end_of_our_lease_ends_no_other(there: Lease | None) -> None:
    """Ours ran out, and somebody else has taken theirs since."""
    before = replace(READ, lease=OURS)
    known = replace(READ, lease=there, etag="2")
    merged = rebased(replace(before, lease=None, username="new"), before=before, known=known)
    assert merged == replace(known, username="new")


def test_our_lease_ends_on_a_row_that_changed_otherwise() -> None:
    """Somebody has written when the person was here; the lease still is ours."""
    before = replace(READ, lease=OURS)
    known = replace(before, last_activity=NOW, etag="2")
    merged = rebased(replace(before, lease=None), before=before, known=known)
    assert merged is not None
    assert (merged.lease, merged.last_activity, merged.etag) == (None, NOW, "2")


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [(READ.due_at, 60), (NOW + timedelta(minutes=5), 5), (NOW + timedelta(minutes=90), 60)],
    ids=["not moved", "earlier", "later"],
)
def test_an_earlier_due_time_that_came_meanwhile_stays(theirs: datetime, kept: int) -> None:
    """A sweep puts the person off for an hour; meanwhile something made them due in five minutes."""
    ours = replace(READ, due_at=NOW + timedelta(minutes=60))
    merged = rebased(ours, before=READ, known=replace(READ, due_at=theirs, etag="2"))
    assert merged is not None
    assert merged.due_at == NOW + timedelta(minutes=kept)
