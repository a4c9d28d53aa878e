"""SWEEP_FANOUT=queue: the timer puts messages, whoever takes them sweeps; duplicates and nonsense are harmless."""

from collections.abc import Callable

import pytest
from azure.storage.queue import QueueServiceClient

from shared.identity.rate_limit import RateLimit
from shared.sweep_queue import SWEEP_SLOTS
from tests.running_app import RunningApp


@pytest.fixture
def app(start_app: Callable[..., RunningApp], queues: QueueServiceClient) -> RunningApp:
    """The app with fan-out, and empty queues."""
    return start_app(SWEEP_FANOUT="queue")


def test_one_message_a_due_slot_sweeps_everybody(app: RunningApp) -> None:
    """The tick itself asks the tenant nothing; the messages do, each for its slot."""
    for username in ("ada@contoso.example", "ben@contoso.example", "emi@contoso.example"):
        app.browser().sign_in(username)
    app.clock.move(minutes=6)
    assert app.counts() == {}
    assert app.tenant.log()["refresh_tokens_redeemed"] == 0
    app.drain()
    assert app.tenant.log()["refresh_tokens_redeemed"] == 3
    assert sum(each.counts.get("fresh", 0) for each in app.services.store.recent_sweeps(50)) == 3


def test_duplicate_messages_sweep_nobody_twice(app: RunningApp) -> None:
    """At-least-once delivery: the slot's hint and claim decide."""
    app.browser().sign_in("ada@contoso.example")
    app.clock.move(minutes=6)
    app.host.fire("sweep")
    app.host.fire("sweep")
    app.drain()
    assert app.tenant.log()["refresh_tokens_redeemed"] == 1


def test_a_slot_that_must_wait_for_the_tenant_gives_its_message_back(
    app: RunningApp, queues: QueueServiceClient
) -> None:
    """While a Retry-After holds, the function ends at once and puts a message that stays hidden until it is over."""
    app.services.rate_limit = RateLimit(clock=lambda: app.clock().timestamp())
    app.services.wait = lambda seconds: pytest.fail(f"waited {seconds} s")
    app.browser().sign_in("ada@contoso.example")
    app.clock.move(minutes=3)
    app.browser().sign_in("ben@contoso.example")
    app.tenant.add_fault("token", "throttle", retry_after=600, times=1)
    for minutes in (4, 3):  # Ada meets the fault before Ben is due: their slots are never worked on side by side
        app.clock.move(minutes=minutes)
        app.host.fire("sweep")
        app.drain()
    assert app.tenant.log()["refresh_tokens_redeemed"] == 0
    queue = queues.get_queue_client(SWEEP_SLOTS)
    assert queue.get_queue_properties().approximate_message_count == 1
    assert queue.receive_message() is None
    app.clock.move(minutes=10)
    app.host.fire("sweep")
    app.drain()
    assert app.tenant.log()["refresh_tokens_redeemed"] == 2


def test_a_message_for_no_slot_fails_and_harms_nobody(app: RunningApp) -> None:
    """It becomes a poison message, visible in the log; the slots are as they were."""
    before = app.services.store.slots()
    assert not app.host.fire("sweep_slot", "ff; drop").succeeded
    assert app.services.store.slots() == before


def test_a_message_for_a_slot_that_is_not_due_costs_one_read(app: RunningApp) -> None:
    """A late duplicate finds the slot claimed or done."""
    app.host.fire("sweep")
    app.drain()
    before = app.services.store.slots()
    assert app.host.fire("sweep_slot", "00").succeeded
    assert app.services.store.slots() == before
    assert SWEEP_SLOTS == "sweep-slots"
