"""What the row of a slot says: who may begin in it, and when."""

from datetime import datetime, timedelta

import pytest

from shared.store import MemoryAccountStore, Slot
from shared.store.slots import CLAIM, FARTHEST_HINT
from shared.sweep_queue import due_slots
from tests.shared.store_accounts import NOW

SECOND = timedelta(seconds=1)
LATER = timedelta(hours=1)


@pytest.fixture
def claimed() -> Slot:
    """A slot that was due, and that sweep "one" has just claimed."""
    return Slot("00", NOW, "etag").claim("one", NOW)


def is_due(slot: Slot, at: datetime) -> bool:
    """May a sweep begin at this time, when both clocks agree?"""
    return slot.is_due(at, at)


def test_a_claim_excludes_until_it_ends(claimed: Slot) -> None:
    """And not a second longer."""
    assert not is_due(claimed, NOW + CLAIM - SECOND)
    assert is_due(claimed, NOW + CLAIM)


def test_a_renewed_claim_excludes_longer(claimed: Slot) -> None:
    """For instances of the first edition too: they look at the hint."""
    renewed = claimed.renew("one", NOW + CLAIM / 3)
    assert not is_due(renewed, NOW + CLAIM)
    assert renewed.next_due_at == renewed.claimed_until == NOW + CLAIM / 3 + CLAIM
    assert is_due(renewed, NOW + CLAIM / 3 + CLAIM)


def test_a_lowered_hint_takes_effect_when_the_claim_ends(claimed: Slot) -> None:
    """Also after the claim was renewed, and when the sweep gives the slot back."""
    lowered = claimed.lower(NOW + SECOND)
    assert not is_due(lowered, NOW + CLAIM - SECOND)
    renewed = lowered.renew("one", NOW + CLAIM / 3)
    assert (renewed.next_due_at, is_due(renewed, NOW + CLAIM)) == (NOW + SECOND, False)
    assert is_due(renewed.release(renewed.next_due_at, finished=True), NOW + SECOND)


def test_a_claim_farther_ahead_than_any_can_be_is_over(claimed: Slot) -> None:
    """A host whose clock was wrong, or a hand, wrote it. Its hint says nothing, either."""
    for wrong in (timedelta(minutes=5), timedelta(days=1), timedelta(days=300_000)):
        assert is_due(claimed.renew("one", NOW + wrong), NOW)
    assert not is_due(claimed.renew("one", NOW + timedelta(seconds=20)), NOW)  # two lease clocks may differ a little


def test_a_hint_farther_ahead_than_any_can_be_is_due() -> None:
    """The limit follows SWEEP_EVERY where that is long."""
    store = MemoryAccountStore()
    for each in store.slots():
        store.write_slot(each.lower(NOW + FARTHEST_HINT + SECOND))
    assert len(due_slots(store, NOW)) == 16
    assert due_slots(store, NOW, sweep_every=timedelta(days=90)) == []
    assert due_slots(store, NOW + SECOND) == []


def test_claims_are_judged_by_the_lease_clock_and_hints_by_our_own(claimed: Slot) -> None:
    """Whether ours is five minutes fast or slow."""
    for wrong in (timedelta(minutes=5), timedelta(minutes=-5)):
        assert not claimed.is_due(NOW + wrong, NOW)
        assert claimed.is_due(NOW + CLAIM + wrong, NOW + CLAIM)
        free = Slot("00", NOW + LATER, "etag")
        assert free.is_due(NOW + LATER, NOW + wrong)
        assert not free.is_due(NOW, NOW + LATER)


def test_the_first_of_several_claims_is_remembered_until_a_sweep_leaves_nobody_behind(claimed: Slot) -> None:
    """Whoever claims the slot next, and whoever lowers its hint."""
    again = claimed.lower(NOW).claim("two", NOW + LATER).release(NOW, finished=False).claim("three", NOW + 2 * LATER)
    assert again.first_claimed_at == NOW
    assert again.release(NOW + 3 * LATER, finished=True).first_claimed_at is None
