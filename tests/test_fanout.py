"""SWEEP_FANOUT=queue: the timer puts messages on a queue, and any instance sweeps their slots. Duplicates and nonsense
are harmless."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from azure.storage.queue import QueueServiceClient

from shared.accounts import slot_of
from shared.identity.rate_limit import RateLimit
from shared.sweep_queue import SWEEP_SLOTS
from tests.running_app import RunningApp


@pytest.fixture
def app(start_app: Callable[..., RunningApp], queues: QueueServiceClient) -> RunningApp:
    """The app with fan-out, and empty queues."""
    return start_app(SWEEP_FANOUT="queue")


def test_one_message_a_due_slot_sweeps_everybody(app: RunningApp) -> None:
    """The tick itself sends no token request. Each message sweeps its slot."""
    for username in ("ada@contoso.example", "ben@contoso.example", "emi@contoso.example"):
        app.browser().sign_in(username)
    app.clock.move(minutes=6)
    assert app.counts() == {}
    assert app.tenant.log()["refresh_tokens_redeemed"] == 0
    app.drain()
    assert app.tenant.log()["refresh_tokens_redeemed"] == 3
    assert sum(each.counts.get("fresh", 0) for each in app.services.store.recent_sweeps(50)) == 3


def test_duplicate_messages_sweep_nobody_twice(app: RunningApp) -> None:
    """Messages may be delivered twice. The slot's hint and claim prevent a second sweep."""
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


def test_messages_do_not_pile_up_while_the_tenant_asks_for_a_pause(app: RunningApp, queues: QueueServiceClient) -> None:
    """The slot is not due before the pause is over, so that no tick of the timer puts another message."""
    app.services.rate_limit = RateLimit(clock=lambda: app.clock().timestamp())
    app.services.wait = lambda seconds: pytest.fail(f"waited {seconds} s")
    app.browser().sign_in("ada@contoso.example")
    app.clock.move(minutes=3)
    app.browser().sign_in("ben@contoso.example")
    app.tenant.add_fault("token", "throttle", retry_after=3600, times=1)
    for _ in range(10):
        app.clock.move(minutes=4)
        app.host.fire("sweep")
        app.drain()
    assert queues.get_queue_client(SWEEP_SLOTS).get_queue_properties().approximate_message_count == 1


def test_short_pauses_in_a_row_are_not_slept_through(app: RunningApp, queues: QueueServiceClient) -> None:
    """A Retry-After of 4 s after each request: the function gives up after ten seconds in all."""
    app.services.rate_limit = RateLimit(clock=lambda: app.clock().timestamp())
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        app.clock.wait(seconds)

    app.services.wait = wait
    app.browser().sign_in("ada@contoso.example")
    (ada,) = app.accounts()
    keys = app.services.settings.key_ring
    cache = keys.open_cache(ada.sealed_cache, ada.account_id)
    others = [name for name in map(str, range(500)) if slot_of(name) == ada.slot][:20]
    for name in others:
        app.services.store.save(replace(ada, account_id=name, sealed_cache=keys.seal_cache(cache, name), etag=None))
    app.tenant.add_fault("token", "throttle", retry_after=4)
    app.clock.move(minutes=7)
    assert app.host.fire("sweep_slot", ada.slot).succeeded
    assert 0 < sum(waited) <= 10
    assert queues.get_queue_client(SWEEP_SLOTS).get_queue_properties().approximate_message_count == 1


def test_a_message_for_no_slot_fails_and_harms_nobody(app: RunningApp) -> None:
    """The message becomes a poison message, the log shows it, and the slots stay as they were."""
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
