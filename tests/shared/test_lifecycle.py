"""What happens to an account over time: turns spread over the interval, back-off, retention."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.accounts import Account, Outcome, Person, State, Verdict, all_slots
from shared.accounts.lifecycle import Lifecycle

NOW = datetime(2026, 5, 4, 10, 3, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIFE = Lifecycle(every=HOUR, absent_after=timedelta(minutes=5), retention=timedelta(days=90), chance=lambda: 0.5)
ACCOUNT = Account(account_id="a.t", due_at=NOW - timedelta(minutes=1), last_activity=NOW - HOUR)


@pytest.mark.parametrize("slot", all_slots())
def test_next_turn_lies_within_one_interval_at_the_slot_s_place(slot: str) -> None:
    """It is never later than SWEEP_EVERY, never now, and at the same moment of every interval."""
    turn = LIFE.next_turn(slot, NOW)
    assert NOW < turn <= NOW + HOUR
    assert LIFE.next_turn(slot, turn) == turn + HOUR
    assert LIFE.next_turn(slot, turn - timedelta(microseconds=1)) == turn


def test_the_slots_turns_are_spread_evenly() -> None:
    """A million people never fall due in the same minute."""
    turns = sorted(LIFE.next_turn(slot, NOW) for slot in all_slots())
    gaps = {later - earlier for earlier, later in itertools.pairwise(turns)}
    assert gaps == {HOUR / 16}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_sign_in_required_sets_anybody_aside(outcome: Outcome) -> None:
    """The promise holds for every outcome."""
    after = LIFE.apply_verdict(ACCOUNT, Verdict(outcome, code="x"), NOW)
    assert (after.state is State.NEEDS_SIGN_IN) == (outcome is Outcome.SIGN_IN_REQUIRED)


@pytest.mark.parametrize("outcome", [Outcome.MISCONFIGURED, Outcome.CONFLICT])
def test_what_says_nothing_about_the_person_leaves_them_untouched(outcome: Outcome) -> None:
    """Not even the history changes."""
    assert LIFE.apply_verdict(ACCOUNT, Verdict(outcome, code="x"), NOW) == ACCOUNT


def test_success_clears_the_failure_and_gives_the_next_turn() -> None:
    """It does so however long the failure lasted."""
    failing = LIFE.apply_verdict(ACCOUNT, Verdict(Outcome.UNAVAILABLE, code="http_503"), NOW)
    expires_at = NOW + HOUR
    after = LIFE.apply_verdict(failing, Verdict(Outcome.FRESH, token_expires_at=expires_at), NOW)
    assert (after.failure, after.token_expires_at, after.last_swept_at) == (None, expires_at, NOW)
    assert after.due_at == LIFE.next_turn(ACCOUNT.slot, NOW)
    assert [each.outcome for each in after.recent] == [Outcome.FRESH, Outcome.UNAVAILABLE]


def test_unavailable_waits_longer_each_time_up_to_the_interval() -> None:
    """The wait grows exponentially, with random jitter."""
    account, waits = ACCOUNT, []
    for _ in range(10):
        account = LIFE.apply_verdict(account, Verdict(Outcome.UNAVAILABLE, code="timeout"), NOW)
        waits.append((account.due_at - NOW).total_seconds())
    assert waits[:7] == [60, 120, 240, 480, 960, 1920, 3600]
    assert waits[-1] == 3600
    assert account.failure is not None
    assert (account.failure.count, account.failure.first_at) == (10, NOW)


def test_throttled_waits_for_as_long_as_the_tenant_says() -> None:
    """Retry-After and up to a quarter more, so that not everybody comes back in the same second."""
    after = LIFE.apply_verdict(ACCOUNT, Verdict(Outcome.THROTTLED, code="throttled", retry_after=40), NOW)
    assert timedelta(seconds=40) <= after.due_at - NOW <= timedelta(seconds=50)
    absurd = LIFE.apply_verdict(ACCOUNT, Verdict(Outcome.THROTTLED, code="throttled", retry_after=1e9), NOW)
    assert absurd.due_at - NOW <= timedelta(hours=2)


def test_another_failure_starts_its_own_count() -> None:
    """First time and count belong to one code only."""
    first = LIFE.apply_verdict(ACCOUNT, Verdict(Outcome.UNAVAILABLE, code="timeout"), NOW)
    second = LIFE.apply_verdict(first, Verdict(Outcome.UNAVAILABLE, code="http_500"), NOW + HOUR)
    assert second.failure is not None
    assert (second.failure.count, second.failure.first_at) == (1, NOW + HOUR)


def test_whoever_is_set_aside_is_due_until_told_and_then_when_their_row_ends() -> None:
    """The tenant is not asked in between."""
    aside = LIFE.apply_verdict(ACCOUNT, Verdict(Outcome.SIGN_IN_REQUIRED, code="50173"), NOW)
    assert aside.due_at == NOW  # until the message is sent
    end = LIFE.defer_until_retention(aside).due_at
    assert end == NOW + LIFE.retention
    assert not LIFE.is_past_retention(aside, end - timedelta(seconds=1))
    assert LIFE.is_past_retention(aside, end)


def test_an_active_row_is_never_over() -> None:
    """It stays however long the person is away: the token is valid."""
    assert not LIFE.is_past_retention(ACCOUNT, NOW + timedelta(days=1000))


def test_history_keeps_ten() -> None:
    """The newest entry comes first."""
    account = ACCOUNT
    for minute in range(12):
        account = LIFE.apply_verdict(account, Verdict(Outcome.CACHED), NOW + timedelta(minutes=minute))
    assert len(account.recent) == 10
    assert account.recent[0].at == NOW + timedelta(minutes=11)


def test_a_failed_task_replaces_this_turn_s_entry_and_keeps_the_person_active() -> None:
    """The token was fine, but the task failed."""
    swept = LIFE.apply_verdict(ACCOUNT, Verdict(Outcome.FRESH), NOW)
    failed = LIFE.apply_task_failure(swept, "mail: KeyError", NOW)
    assert [each.outcome for each in failed.recent] == [Outcome.TASK_FAILED]
    assert failed.state is State.ACTIVE
    assert failed.due_at == swept.due_at
    assert failed.failure is not None
    assert failed.failure.code == "mail: KeyError"


def test_signing_in_again_keeps_what_is_the_person_s_and_clears_what_was_wrong() -> None:
    """`extra`, task state and other browsers' sessions stay; failure and lease go."""
    aside = LIFE.apply_verdict(
        replace(ACCOUNT, extra={"k": 1}, task_state={"t": {}}, session_generation="g"),
        Verdict(Outcome.SIGN_IN_REQUIRED, code="50173"),
        NOW,
    )
    person = Person("a.t", "new-name@contoso.example", "t", "a", "a.t")
    back = LIFE.enrol(aside, person, scopes=("User.Read",), sealed_cache=b"new", token_expires_at=None, now=NOW)
    assert (back.state, back.failure, back.due_at) == (State.ACTIVE, None, NOW + timedelta(minutes=6))
    assert (back.extra, back.task_state, back.session_generation) == ({"k": 1}, {"t": {}}, "g")
    assert (back.username, back.cache_version) == ("new-name@contoso.example", aside.cache_version + 1)


def test_two_new_people_have_different_session_generations() -> None:
    """Random: a deleted and recreated account doesn't revive old sessions."""
    person = Person("a.t", "a@contoso.example")
    made = [LIFE.enrol(None, person, scopes=(), sealed_cache=b"", token_expires_at=None, now=NOW) for _ in range(2)]
    assert made[0].session_generation != made[1].session_generation


def test_nobody_is_due_within_absent_after_of_their_last_request() -> None:
    """Activity is written once per minute: a request that was not written still counts."""
    account = LIFE.note_presence(ACCOUNT, NOW)
    last_request = NOW
    for second in range(0, 601, 7):
        last_request = NOW + timedelta(seconds=second)
        if LIFE.is_stale(account, last_request):
            account = LIFE.note_presence(account, last_request)
        assert account.due_at - last_request >= LIFE.absent_after
    assert account.due_at - last_request <= LIFE.absent_after * 1.2
