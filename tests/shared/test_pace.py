"""How fast the token endpoint is asked, by a clock that the test moves."""

from dataclasses import dataclass

import pytest

from shared.accounts import Outcome, Verdict
from shared.identity.classification import NO_REFRESH_TOKEN, OTHER_CLIENT
from shared.identity.rate_limit import Pace

UNAVAILABLE = Verdict(Outcome.UNAVAILABLE, code="http_503")


@dataclass
class Seconds:
    """A clock in seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


@pytest.fixture
def clock() -> Seconds:
    """The pace's clock."""
    return Seconds()


@pytest.fixture
def pace(clock: Seconds) -> Pace:
    """Nothing heard yet."""
    return Pace(clock=clock)


def fail(pace: Pace, times: int) -> None:
    """The token endpoint fails so often."""
    for _ in range(times):
        pace.heard(UNAVAILABLE)


def test_retry_after_is_waited_for_and_a_shorter_one_does_not_shorten_it(pace: Pace, clock: Seconds) -> None:
    """Without a number ten seconds are taken."""
    pace.heard(Verdict(Outcome.THROTTLED, retry_after=90))
    pace.heard(Verdict(Outcome.THROTTLED))
    assert pace.seconds_to_wait() == 90
    clock.now += 90
    assert pace.seconds_to_wait() == 0
    pace.heard(Verdict(Outcome.THROTTLED))
    assert pace.seconds_to_wait() == 10


def test_the_fifth_failure_in_a_row_makes_a_pause(pace: Pace) -> None:
    """Four don't."""
    fail(pace, 4)
    assert pace.seconds_to_wait() == 0
    fail(pace, 1)
    assert pace.seconds_to_wait() == 5


def test_what_fails_during_a_pause_tells_nothing_new(pace: Pace, clock: Seconds) -> None:
    """Sixty-four threads that were under way when the pause began do not make it a long one."""
    fail(pace, 5 + 64)
    assert pace.seconds_to_wait() == 5
    clock.now += 5
    fail(pace, 1)
    assert pace.seconds_to_wait() == 5


def test_pauses_grow_to_two_minutes_while_nothing_works(pace: Pace, clock: Seconds) -> None:
    """Each five further failures double it."""
    pauses = []
    for _ in range(60):
        fail(pace, 1)
        pauses.append(pace.seconds_to_wait())
        clock.now += pace.seconds_to_wait()
    assert pauses[4:15] == [5] * 5 + [10] * 5 + [20]
    assert pauses[-1] == 120


@pytest.mark.parametrize(
    ("verdict", "ends"),
    [
        (Verdict(Outcome.FRESH), True),
        (Verdict(Outcome.SIGN_IN_REQUIRED, code="50173"), True),
        (Verdict(Outcome.MISCONFIGURED, code="7000222"), True),
        (Verdict(Outcome.SIGN_IN_REQUIRED, code=NO_REFRESH_TOKEN), False),
        (Verdict(Outcome.MISCONFIGURED, code=OTHER_CLIENT), False),
        (Verdict(Outcome.CACHED), False),
        (Verdict(Outcome.UNREADABLE, code="forged"), False),
    ],
    ids=lambda value: f"{value.outcome}-{value.code}" if isinstance(value, Verdict) else "",
)
def test_an_answer_ends_the_row_of_failures_and_nothing_else_does(pace: Pace, verdict: Verdict, ends: bool) -> None:
    """What was settled without asking says nothing about the token endpoint."""
    fail(pace, 4)
    pace.heard(verdict)
    fail(pace, 1)
    assert (pace.seconds_to_wait() == 0) is ends
