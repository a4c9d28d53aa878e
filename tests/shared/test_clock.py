"""The storage service's clock, learnt from its answers: never outside its bounds, whatever this host's clock says."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import StorageClock
from tests.support import MakeServices

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Ticks:
    """A counter of seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def date(time: datetime, *, kept: float = 0.0) -> str:
    """As in a Date header: whole seconds, of a text that the server has kept for so many seconds."""
    return format_datetime((time - timedelta(seconds=kept)).replace(microsecond=0), usegmt=True)


@given(
    answers=st.lists(st.tuples(st.floats(0, 8), st.floats(0, 8), st.floats(0, 300)), min_size=1, max_size=8),
    begun=st.floats(0, 1),
    kept=st.floats(0, 1),
    drift=st.floats(-0.0004, 0.0004),
)
def test_the_service_s_time_is_never_outside_the_bounds(
    answers: list[tuple[float, float, float]], begun: float, kept: float, drift: float
) -> None:
    """Whatever the road to the service and back takes, when our clock runs a little too fast or too slow, and when the
    service makes the text of its header once a second."""
    ticks, service = Ticks(), NOW + timedelta(seconds=begun)
    clock = StorageClock(seconds=ticks, wall_clock=lambda: NOW - timedelta(minutes=5))

    def pass_time(seconds: float) -> None:
        nonlocal service
        service += timedelta(seconds=seconds)
        ticks.now += seconds * (1 + drift)

    for there, back, idle in answers:
        sent = ticks()
        pass_time(there)
        header = date(service, kept=kept)
        pass_time(back)
        clock.hear(header, sent=sent, received=ticks())
        for _ in range(2):
            error = timedelta(milliseconds=1)  # of adding floats
            assert clock() - error <= service <= clock.latest() + error
            pass_time(idle)


def test_many_answers_say_more_than_one() -> None:
    """Two seconds and a round trip at first, and less when a second begins between two answers."""
    ticks = Ticks()
    clock = StorageClock(seconds=ticks)
    for milliseconds in (0, 950, 1000):
        ticks.now = 1000 + milliseconds / 1000
        clock.hear(date(NOW + timedelta(milliseconds=milliseconds)), sent=ticks() - 0.02, received=ticks())
    assert clock.latest() - clock() < timedelta(milliseconds=1100)


def test_a_pause_of_this_process_counts() -> None:
    """The clock goes on without answers."""
    ticks = Ticks()
    clock = StorageClock(seconds=ticks)
    clock.hear(date(NOW), sent=ticks(), received=ticks())
    ticks.now += 66
    assert clock() > NOW + timedelta(seconds=65.9)


@pytest.mark.parametrize("minutes", [-5, 5])
def test_when_the_service_s_clock_is_set_the_last_answer_counts(minutes: int) -> None:
    """Contradictions are no compromise."""
    ticks = Ticks()
    clock = StorageClock(seconds=ticks)
    for time in (NOW, NOW + timedelta(minutes=minutes)):
        clock.hear(date(time), sent=ticks(), received=ticks())
    assert clock() == NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_what_is_no_date_says_nothing(text: str) -> None:
    """Before the first answer this host's clock is all there is."""
    clock = StorageClock(wall_clock=lambda: NOW)
    clock.hear(text, sent=0, received=0)
    assert (clock(), clock.latest()) == (NOW, NOW)


def test_the_app_s_clock_of_leases_learns_from_azurite(make_services: MakeServices) -> None:
    """The first call of the storage is enough. A host's own clock, five minutes ahead, has no part in it."""
    ahead = timedelta(minutes=5)
    app = make_services(now=lambda: datetime.now(UTC) + ahead, lease_clock=None)
    assert app.store.get("nobody") is None
    assert app.lease_clock.latest() > app.lease_clock()  # of this host's clock, the second look would be later
    assert app.lease_clock() <= datetime.now(UTC) <= app.lease_clock.latest()
