"""What every account store promises: the same tests for the one in memory and the one on real Azurite."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.accounts import MOST_JSON_BYTES, Account, Failure, Lease, State, slot_of
from shared.errors import Conflict, RowRefused, RowTooLarge, RowUnreadable, StoreError
from shared.store import AccountStore, Slot, SlotPass, SweepRecord
from shared.store.slots import CLAIM, Index
from tests.shared.store_accounts import NOW, an_account

SECOND = timedelta(seconds=1)


def neighbour_of(account_id: str) -> Account:
    """Somebody else, never stored, who shares that account's slot."""
    names = (f"neighbour-{number}" for number in range(1000))
    return an_account(next(each for each in names if slot_of(each) == slot_of(account_id)))


def in_one_slot(count: int) -> list[Account]:
    """Small accounts that share a slot."""
    ids = (f"person-{number}" for number in range(100_000))
    wanted = slot_of("person-0")
    return [
        an_account(next(each for each in ids if slot_of(each) == wanted), sealed_cache=b"x", etag=None)
        for _ in range(count)
    ]


def go_through(
    store: AccountStore, slot: str, now: datetime = NOW, *, index: Index | None = None
) -> tuple[SlotPass, list[Account]]:
    """A pass over a slot, and whom it found."""
    this_pass = store.begin_pass(Slot(slot, now, index=index))
    pages = this_pass.pages(now, odd_until=now + timedelta(hours=1))
    return this_pass, [each for page in pages for each in page]


def names(accounts: Iterable[Account]) -> list[str]:
    """Who they are."""
    return sorted(each.account_id for each in accounts)


def test_no_row_is_none(store: AccountStore) -> None:
    """Absent is not an error, even before the tables exist."""
    assert store.get("nobody") is None


def test_account_round_trips_with_everything_in_it(store: AccountStore) -> None:
    """What was saved is what is read, `extra` and task state too."""
    saved = store.save(an_account())
    known = store.get("oid.tid")
    assert known == saved
    assert known == an_account(sealed_cache=saved.sealed_cache)
    assert known is not None
    assert known.etag == saved.etag


def test_what_is_taken_away_is_gone(store: AccountStore) -> None:
    """A cleared failure, lease and cache leave nothing stale behind."""
    saved = store.save(an_account())
    bare = replace(saved, failure=None, lease=None, sealed_cache=b"", last_swept_at=None, recent=(), extra={})
    store.save(bare)
    assert store.get("oid.tid") == bare


def test_second_insert_conflicts(store: AccountStore) -> None:
    """Two first sign-ins at once: one of them must read again."""
    store.save(an_account())
    with pytest.raises(Conflict):
        store.save(an_account(username="other"))
    known = store.get("oid.tid")
    assert known is not None
    assert known.username == "ada@contoso.example"


def test_stale_write_conflicts_and_changes_nothing(store: AccountStore) -> None:
    """A write with the ETag of yesterday is refused."""
    first = store.save(an_account())
    second = store.save(replace(first, username="newer"))
    with pytest.raises(Conflict):
        store.save(replace(first, username="older"))
    assert store.get("oid.tid") == second


def test_write_to_a_vanished_row_conflicts(store: AccountStore) -> None:
    """Nobody resurrects a row that its person deleted."""
    saved = store.save(an_account())
    assert store.delete("oid.tid")
    with pytest.raises(Conflict):
        store.save(saved)
    with pytest.raises(Conflict):
        store.touch(saved)
    assert store.get("oid.tid") is None


def test_touch_moves_activity_and_lease_only(store: AccountStore) -> None:
    """The small write leaves cache, state and failure as they are, and moves the ETag."""
    saved = store.save(an_account())
    later = NOW + timedelta(minutes=5)
    touched = store.touch(replace(saved, last_activity=later, due_at=later, lease=None, username="ignored"))
    known = store.get("oid.tid")
    assert known == replace(saved, last_activity=later, due_at=later, lease=None)
    assert known is not None
    assert known.etag == touched.etag != saved.etag
    with pytest.raises(Conflict):
        store.touch(saved)


def test_account_that_was_never_stored_is_not_touched(store: AccountStore) -> None:
    """There is nothing to merge into. The others of its batch are touched."""
    saved = store.save(an_account())
    stranger = neighbour_of("oid.tid")
    results = store.touch_many([stranger, saved])
    assert isinstance(results[0], Conflict)
    assert isinstance(results[1], Account)
    with pytest.raises(Conflict):
        store.touch(an_account("somebody.else"))


def test_delete_tells_whether_there_was_a_row(store: AccountStore) -> None:
    """Deleting twice is harmless."""
    store.save(an_account())
    assert store.delete("oid.tid")
    assert not store.delete("oid.tid")


def test_delete_with_a_stale_etag_conflicts(store: AccountStore) -> None:
    """A sweep that deletes by retention doesn't delete somebody who has just signed in."""
    saved = store.save(an_account())
    store.save(replace(saved, state=State.ACTIVE))
    with pytest.raises(Conflict):
        store.delete("oid.tid", etag=saved.etag)
    assert store.get("oid.tid") is not None


def test_an_odd_row_is_named_and_left_out(store: AccountStore, spoil: Callable[[str], None]) -> None:
    """Reading it raises with the reason; turns, the slot's next time and lists of people do without it."""
    people = in_one_slot(2)
    good, odd = (store.save(replace(each, due_at=NOW)) for each in people)
    spoil(odd.account_id)
    with pytest.raises(RowUnreadable) as raised:
        store.get(odd.account_id)
    found = raised.value
    assert (found.slot, found.key, found.reason) == (odd.slot, odd.account_id, "State is not a state")
    assert [each for page in store.due(odd.slot, NOW) for each in page] == [good]
    this_pass, found_by_pass = go_through(store, odd.slot)
    assert found_by_pass == [good]
    this_pass.note(store.touch(replace(good, due_at=NOW + timedelta(hours=1))))
    this_pass.complete()
    assert this_pass.next_due() == NOW + timedelta(hours=1)
    for only_odd, accounts in ((False, [good.account_id]), (True, [])):
        page = store.list_accounts(odd=only_odd)
        assert [each.account_id for each in page.accounts] == accounts
        assert [(each.slot, each.key, each.reason, each.etag) for each in page.odd] == [
            (found.slot, found.key, found.reason, found.etag)
        ]
    counted = store.count_accounts(NOW)
    assert (sum(counted.states.values()), counted.odd) == (1, 1)


def test_an_odd_row_is_replaced_or_deleted_by_its_etag_alone(store: AccountStore, spoil: Callable[[str], None]) -> None:
    """As any row is."""
    before = store.save(an_account())
    spoil("oid.tid")
    for write in (store.save, store.touch):
        with pytest.raises(Conflict):
            write(before)
    with pytest.raises(Conflict):
        store.save(an_account())
    with pytest.raises(Conflict):
        store.delete("oid.tid", etag=before.etag)
    (odd,) = store.list_accounts().odd
    saved = store.save(replace(before, etag=odd.etag))
    assert store.get("oid.tid") == saved
    with pytest.raises(Conflict):
        store.delete_odd(odd)
    spoil("oid.tid")
    (odd,) = store.list_accounts().odd
    assert store.delete_odd(odd)
    assert not store.delete_odd(odd)
    store.save(an_account())
    spoil("oid.tid")
    assert store.delete("oid.tid")
    assert store.get("oid.tid") is None


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 700_000])
def test_cache_of_any_allowed_size_round_trips(store: AccountStore, size: int) -> None:
    """Chunks of 64 KiB, with nothing lost at their edges."""
    saved = store.save(an_account(sealed_cache=os.urandom(size)))
    known = store.get("oid.tid")
    assert known is not None
    assert known.sealed_cache == saved.sealed_cache


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": {"long": "x" * MOST_JSON_BYTES}},
        {"task_state": {"long": "x" * MOST_JSON_BYTES}},
    ],
    ids=["extra", "task state"],
)
def test_too_large_an_account_is_refused_and_the_row_keeps_what_it_had(
    store: AccountStore, changes: dict[str, object]
) -> None:
    """A clear error before anything is written."""
    saved = store.save(an_account())
    with pytest.raises(RowTooLarge):
        store.save(replace(saved, **changes))  # type: ignore[arg-type]
    assert store.get("oid.tid") == saved


def test_account_whose_row_is_gone_is_not_deleted(store: AccountStore) -> None:
    """With the ETag of what was read: somebody else was faster, and that is no conflict."""
    saved = store.save(an_account())
    assert store.delete("oid.tid", etag=saved.etag)
    assert not store.delete("oid.tid", etag=saved.etag)
    assert not store.delete("nobody", etag=saved.etag)


ENDLESS: dict[str, object] = {}
ENDLESS["me"] = ENDLESS
ODD: dict[str, dict[str, object]] = {
    "extra that is not JSON": {"extra": {"what": object()}},
    "state that is not JSON": {"task_state": {1: 1, "a": 2}},
    "endless state": {"task_state": ENDLESS},
    "no username": {"username": None},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_one_odd_account_costs_nobody_elses_write(store: AccountStore, changes: dict[str, object]) -> None:
    """Whatever is wrong with it: it alone is refused, and what was stored of it stays."""
    people = [each for each in store.save_many(in_one_slot(5)) if isinstance(each, Account)]
    wanted = [replace(each, session_generation="new") for each in people]
    wanted[2] = replace(wanted[2], **changes)  # type: ignore[arg-type]
    results = store.save_many(wanted)
    assert [isinstance(each, Account) for each in results] == [True, True, False, True, True]
    assert isinstance(results[2], RowRefused)
    assert store.get(people[2].account_id) == people[2]
    with pytest.raises(RowRefused):
        store.save(wanted[2])


@pytest.mark.parametrize("half", ["\ud800", "\udfff"], ids=["first", "second"])  # noqa: PT014 - they differ
def test_text_that_utf_8_cannot_hold_is_mended(store: AccountStore, half: str) -> None:
    """JSON can spell an unpaired surrogate, so a username may have one. Two halves that belong together are whole."""
    failure = Failure(f"code{half}", NOW, NOW, suberror=half)
    people = in_one_slot(3)
    people[1] = replace(
        people[1], username=f"a{half}b\ud83d\ude00", scopes=("User.Read", half), failure=failure, extra={"x": half}
    )
    results = store.save_many(people)
    assert all(isinstance(each, Account) for each in results)
    known = store.get(people[1].account_id)
    assert known == results[1]
    assert known is not None
    assert known.username == "a\ufffdb\U0001f600"
    assert known.scopes == ("User.Read", "\ufffd")
    assert known.failure is not None
    assert (known.failure.code, known.failure.suberror) == ("code\ufffd", "\ufffd")
    assert known.extra == {"x": half}


def test_account_id_that_utf_8_cannot_hold_is_nobodys(store: AccountStore) -> None:
    """Mended it would be somebody else's. The others of its batch are saved."""
    assert store.get("a\ud800") is None
    assert not store.delete("a\ud800")
    people = in_one_slot(2)
    odd = replace(people[0], account_id="a\ud800")
    results = store.save_many([odd, people[1]])
    assert isinstance(results[0], RowRefused)
    assert isinstance(results[1], Account)


@pytest.mark.parametrize(
    "account_id",
    [
        "a/b",
        "a\\b",
        "a#b?c%d",
        "x" * 600,
        "Ünïcødé.ß",
        "a'b",
        'q"q',
        "tab\there",
        " ",
        "a%2Fb",
        "100%",
        "a~b",
        "a+b",
        "a_x002F_b",
        "_",
    ],
)
def test_any_account_id_is_a_key(store: AccountStore, account_id: str) -> None:
    """Plain OpenID providers choose `sub` as they like."""
    saved = store.save(an_account(account_id))
    assert store.get(account_id) == saved
    assert store.delete(account_id)


def test_many_are_saved_together_and_only_the_conflicting_are_refused(store: AccountStore) -> None:
    """One result a row, in order; the others are written."""
    people = in_one_slot(150)
    saved = [each for each in store.save_many(people) if isinstance(each, Account)]
    assert len(saved) == 150
    store.save(replace(saved[3], username="changed meanwhile"))
    store.delete(saved[120].account_id)
    results = store.save_many([replace(each, username="batch") for each in saved])
    refused = [index for index, each in enumerate(results) if isinstance(each, StoreError)]
    assert refused == [3, 120]
    assert all(isinstance(results[index], Conflict) for index in refused)
    assert store.get(saved[120].account_id) is None
    for index in (0, 99, 100, 149):
        known = store.get(saved[index].account_id)
        assert known == results[index]
        assert known is not None
        assert known.username == "batch"


def test_many_large_accounts_are_saved_together(store: AccountStore) -> None:
    """Ten of 700 KB, and one that this app doesn't take is refused alone."""
    people = [replace(each, sealed_cache=os.urandom(700_000)) for each in in_one_slot(10)]
    people[4] = replace(people[4], extra={"long": "x" * MOST_JSON_BYTES})
    results = store.save_many(people)
    assert [isinstance(each, Account) for each in results] == [index != 4 for index in range(10)]
    assert isinstance(results[4], RowTooLarge)


def test_many_are_touched_together(store: AccountStore) -> None:
    """Leases of a page are one write; who changed meanwhile doesn't get one."""
    saved = [each for each in store.save_many(in_one_slot(5)) if isinstance(each, Account)]
    store.save(replace(saved[2], username="changed"))
    lease = Lease("sweep", NOW + timedelta(minutes=1))
    results = store.touch_many([replace(each, lease=lease) for each in saved])
    assert [isinstance(each, Account) for each in results] == [True, True, False, True, True]
    known = store.get(saved[0].account_id)
    assert known is not None
    assert known.lease == lease


def test_due_gives_those_whose_time_has_come_page_by_page(store: AccountStore) -> None:
    """Each once, whatever their state; with their ETags."""
    people = in_one_slot(450)
    due = people[:430]
    store.save_many([*due, *(replace(each, due_at=NOW + timedelta(seconds=1)) for each in people[430:])])
    pages = list(store.due(people[0].slot, NOW))
    assert len(pages) > 1
    found = [each for page in pages for each in page]
    assert sorted(each.account_id for each in found) == sorted(each.account_id for each in due)
    assert all(each.etag for each in found)


def test_nobody_is_due_where_nobody_is(store: AccountStore) -> None:
    """Before the tables exist, too."""
    assert [each for page in store.due("00", NOW) for each in page] == []
    this_pass, found = go_through(store, "00")
    this_pass.complete()
    assert (found, this_pass.next_due()) == ([], None)


def test_a_pass_gives_those_who_are_due_and_says_who_is_next(store: AccountStore) -> None:
    """Whether they were listed before or not; the time is exact."""
    people = in_one_slot(150)
    later = [replace(each, due_at=NOW + timedelta(minutes=number)) for number, each in enumerate(people[100:], 1)]
    store.save_many([*people[:100], *later])
    this_pass, found = go_through(store, people[0].slot)
    assert this_pass.index is not None
    assert names(found) == names(people[:100])
    for each in store.touch_many([replace(each, due_at=NOW + timedelta(hours=1)) for each in found]):
        assert isinstance(each, Account)
        this_pass.note(each)
    this_pass.complete()
    assert this_pass.next_due() == later[0].due_at
    this_pass, found = go_through(store, people[0].slot, later[1].due_at, index=this_pass.index)
    assert names(found) == names(later[:2])
    _, found = go_through(store, people[0].slot, NOW + timedelta(days=1) - SECOND, index=this_pass.index)
    assert names(found) == names(people), "a pass that was not complete has taken nobody out"


def test_whoever_is_woken_is_found_at_their_new_time(store: AccountStore) -> None:
    """A newcomer, and somebody who was due much later. The slot's hint says it too."""
    first, second = in_one_slot(2)
    this_pass, _ = go_through(store, first.slot)
    second = store.save(replace(second, due_at=NOW + timedelta(hours=9)))
    this_pass.note(second)
    this_pass.complete()
    for number, each in enumerate([first, second], 1):
        due_at = NOW + timedelta(minutes=number)
        woken = store.wake(replace(each, due_at=due_at))
        assert woken == store.get(each.account_id)
        (slot,) = [slot for slot in store.slots() if slot.name == each.slot]
        assert slot.next_due_at <= due_at
        this_pass, found = go_through(store, each.slot, due_at, index=this_pass.index)
        assert found == [woken]
        this_pass.note(store.touch(replace(woken, due_at=NOW + timedelta(hours=9))))
        this_pass.complete()
    assert this_pass.next_due() == NOW + timedelta(hours=9)


def test_a_wake_that_lost_against_another_write_changes_nobody(store: AccountStore) -> None:
    """It raises what a save raises, and a pass finds the row as it is."""
    saved = store.wake(replace(an_account(), due_at=NOW + timedelta(hours=1)))
    known = store.save(replace(saved, username="newer"))
    with pytest.raises(Conflict):
        store.wake(replace(saved, due_at=NOW))
    with pytest.raises(RowRefused):
        store.wake(an_account("a\ud800"))
    assert store.get("oid.tid") == known
    assert go_through(store, saved.slot)[1] == []


def test_whoever_is_not_noted_is_found_at_the_time_that_their_row_has(store: AccountStore) -> None:
    """The row changed while their turn was taken, or went. Nobody else is later for it."""
    people = [each for each in store.save_many(in_one_slot(4)) if isinstance(each, Account)]
    this_pass, found = go_through(store, people[0].slot)
    assert names(found) == names(people)
    store.touch(replace(people[0], due_at=NOW + timedelta(minutes=7)))
    store.delete(people[1].account_id)
    this_pass.note(store.touch(replace(people[2], due_at=NOW + timedelta(minutes=9))))
    this_pass.complete()
    assert this_pass.next_due() == NOW
    at_last, found = go_through(store, people[0].slot, NOW + timedelta(minutes=8), index=this_pass.index)
    assert names(found) == names([people[0], people[3]])
    for each in found:
        at_last.note(store.touch(replace(each, due_at=NOW + timedelta(hours=1))))
    at_last.complete()
    assert at_last.next_due() == NOW + timedelta(minutes=9)


def test_all_slots_count_as_due_until_they_are_written(store: AccountStore) -> None:
    """A crash between a sign-in's row and its hint loses nobody."""
    slots = store.slots()
    assert len(slots) == 16
    assert all(slot.next_due_at < NOW and slot.etag is None for slot in slots)


def test_a_slot_is_written_only_as_it_was_read(store: AccountStore) -> None:
    """Of two sweeps that read the same row one gets the slot."""
    slot = store.slots()[3]
    claimed = store.write_slot(slot.claim("one", NOW))
    assert claimed is not None
    assert store.write_slot(slot.claim("two", NOW)) is None
    again = store.write_slot(claimed.renew("one", NOW + timedelta(minutes=1)))
    assert again is not None
    assert store.write_slot(claimed.release(NOW, finished=True)) is None
    assert store.slots()[3] == again


def test_a_slot_comes_back_as_it_was_written(store: AccountStore) -> None:
    """Claimed, and released: nothing of the claim is left then."""
    claimed = store.write_slot(store.slots()[5].claim("one", NOW))
    assert claimed is not None
    assert store.slots()[5] == claimed == Slot("05", NOW + CLAIM, claimed.etag, "one", NOW + CLAIM, NOW)
    released = store.write_slot(claimed.release(NOW + timedelta(hours=1), finished=False))
    assert released is not None
    assert store.slots()[5] == Slot("05", NOW + timedelta(hours=1), released.etag, first_claimed_at=NOW)
    marked = replace(released, index=Index(7, NOW))
    finished = store.write_slot(marked.release(NOW + timedelta(hours=1), finished=True))
    assert finished is not None
    assert store.slots()[5] == Slot("05", NOW + timedelta(hours=1), finished.etag, index=Index(7, NOW))
    store.lower_hint("05", NOW)
    assert store.slots()[5].index == Index(7, NOW)


def test_lowering_a_hint_leaves_the_claim_alone(store: AccountStore) -> None:
    """Nobody else may come in before the claim ends."""
    claimed = store.write_slot(store.slots()[5].claim("one", NOW))
    assert claimed is not None
    store.lower_hint("05", NOW)
    lowered = store.slots()[5]
    assert lowered == replace(claimed, next_due_at=NOW, etag=lowered.etag)
    assert lowered.etag != claimed.etag


def test_lowering_a_hint_moves_its_etag_even_when_it_is_low_enough(store: AccountStore) -> None:
    """So that a sweep which scanned before does not overwrite it when it finishes."""
    slot = store.write_slot(replace(store.slots()[0], next_due_at=NOW))
    assert slot is not None
    store.lower_hint("00", NOW + timedelta(hours=1))
    assert store.slots()[0].next_due_at == NOW
    assert store.write_slot(replace(slot, next_due_at=NOW + timedelta(hours=1))) is None
    store.lower_hint("00", NOW - timedelta(hours=1))
    assert store.slots()[0].next_due_at == NOW - timedelta(hours=1)


def test_sweeps_are_listed_newest_first(store: AccountStore) -> None:
    """Counts by outcome come back as they were kept."""
    for minute in range(3):
        counts = {"fresh": minute, "sign_in_required": 1}
        started_at = NOW + timedelta(minutes=minute)
        store.record_sweep(
            SweepRecord(started_at=started_at, seconds=1.5, slots=2, counts=counts, stopped="time_limit")
        )
    newest = store.recent_sweeps(2)
    assert [each.counts["fresh"] for each in newest] == [2, 1]
    assert newest[0].people == 3
    assert newest[0].rate == 2
    assert newest[0].stopped == "time_limit"
