"""The rate of token requests, by a clock that the test moves."""

from dataclasses import dataclass

import pytest

from shared.accounts import Outcome, Verdict
from shared.identity.rate_limit import RateLimit

UNAVAILABLE = Verdict(Outcome.UNAVAILABLE, code="http_503")


@dataclass
class Seconds:
    """A clock in seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


@pytest.fixture
def clock() -> Seconds:
    """The limit's clock."""
    return Seconds()


@pytest.fixture
def limit(clock: Seconds) -> RateLimit:
    """A limit that has seen no answer yet."""
    return RateLimit(clock=clock)


def fail(limit: RateLimit, times: int) -> None:
    """Reports this many failures of the token endpoint."""
    for _ in range(times):
        limit.learn(UNAVAILABLE, sent=True)


def test_retry_after_is_waited_for_and_a_shorter_one_does_not_shorten_it(limit: RateLimit, clock: Seconds) -> None:
    """Without a number the wait is ten seconds."""
    limit.learn(Verdict(Outcome.THROTTLED, retry_after=90), sent=True)
    limit.learn(Verdict(Outcome.THROTTLED), sent=True)
    assert limit.seconds_to_wait() == 90
    clock.now += 90
    assert limit.seconds_to_wait() == 0
    limit.learn(Verdict(Outcome.THROTTLED), sent=True)
    assert limit.seconds_to_wait() == 10


def test_the_fifth_failure_in_a_row_makes_a_pause(limit: RateLimit) -> None:
    """Four don't."""
    fail(limit, 4)
    assert limit.seconds_to_wait() == 0
    fail(limit, 1)
    assert limit.seconds_to_wait() == 5


def test_what_fails_during_a_pause_tells_nothing_new(limit: RateLimit, clock: Seconds) -> None:
    """Sixty-four threads that were busy when the pause began do not lengthen it."""
    fail(limit, 5 + 64)
    assert limit.seconds_to_wait() == 5
    clock.now += 5
    fail(limit, 1)
    assert limit.seconds_to_wait() == 5


def test_pauses_grow_to_two_minutes_while_nothing_works(limit: RateLimit, clock: Seconds) -> None:
    """Each five further failures double it."""
    pauses = []
    for _ in range(60):
        fail(limit, 1)
        pauses.append(limit.seconds_to_wait())
        clock.now += limit.seconds_to_wait()
    assert pauses[4:15] == [5] * 5 + [10] * 5 + [20]
    assert pauses[-1] == 120


@pytest.mark.parametrize(
    ("verdict", "sent", "ends"),
    [
        (Verdict(Outcome.FRESH), True, True),
        (Verdict(Outcome.SIGN_IN_REQUIRED, code="50173"), True, True),
        (Verdict(Outcome.MISCONFIGURED, code="7000222"), True, True),
        (Verdict(Outcome.SIGN_IN_REQUIRED, code="no_refresh_token"), False, False),
        (Verdict(Outcome.MISCONFIGURED, code="other_client"), False, False),
        (Verdict(Outcome.CACHED), False, False),
        (Verdict(Outcome.CACHED), True, False),
        (Verdict(Outcome.UNREADABLE, code="forged"), False, False),
    ],
    ids=lambda value: f"{value.outcome}-{value.code}" if isinstance(value, Verdict) else "",
)
def test_an_answer_ends_the_row_of_failures_and_nothing_else_does(
    limit: RateLimit, verdict: Verdict, sent: bool, ends: bool
) -> None:
    """A turn without a request says nothing about the token endpoint."""
    fail(limit, 4)
    limit.learn(verdict, sent=sent)
    fail(limit, 1)
    assert (limit.seconds_to_wait() == 0) is ends
