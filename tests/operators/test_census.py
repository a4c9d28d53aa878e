"""Counting is a scan: it happens at most once per interval, and no request waits for it."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from shared.accounts import Account, State
from shared.errors import StoreUnavailable
from shared.monitoring.census import INTERVAL, Census
from shared.store import AccountStore, Headcount, MemoryAccountStore
from tests.recording_store import record_calls

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def recorded(store: AccountStore) -> tuple[Census, list[str]]:
    """A census, and the storage calls that it makes."""
    calls: list[str] = []
    return Census(record_calls(store, calls)), calls


def test_everybody_is_counted_once_an_interval() -> None:
    """Changes show with the next count. "As of" says how old the count is."""
    store = MemoryAccountStore()
    census, calls = recorded(store)
    store.save(Account(account_id="a"))
    first = census.latest(NOW, NOW)
    assert first is not None
    store.save(Account(account_id="b"))
    assert census.latest(NOW + INTERVAL - timedelta(seconds=1), NOW) == first
    second = census.latest(NOW + INTERVAL, NOW)
    assert second is not None
    assert (first.headcount.states[State.ACTIVE], second.headcount.states[State.ACTIVE]) == (1, 2)
    assert (first.at, second.at) == (NOW, NOW + INTERVAL)
    assert calls == ["count_accounts", "count_accounts"]


class SlowStore(MemoryAccountStore):
    """A store whose count ends when the test allows it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = threading.Event()
        self.counts = 0

    def count_accounts(self, overdue_before: datetime) -> Headcount:
        """Waits."""
        self.counts += 1
        assert self.may_end.wait(30)
        return super().count_accounts(overdue_before)


def test_a_long_count_is_not_waited_for_and_not_begun_twice() -> None:
    """The page shows no count or the last one, and the new one once it is there."""
    store = SlowStore()
    census = Census(store, patience=0.01)
    assert census.latest(NOW, NOW) is None
    assert census.latest(NOW, NOW) is None
    store.may_end.set()
    patient = next(found for found in iter(lambda: census.latest(NOW, NOW), object()) if found)
    assert patient.at == NOW
    assert store.counts == 1


class BrokenStore(MemoryAccountStore):
    """A storage that fails until it is repaired."""

    broken = True
    error: Exception = StoreUnavailable("count accounts", 503)

    def count_accounts(self, overdue_before: datetime) -> Headcount:
        """Fails or counts."""
        if self.broken:
            raise self.error
        return super().count_accounts(overdue_before)


def test_a_count_that_fails_is_tried_again_at_once() -> None:
    """The next request tries again without waiting for the interval."""
    store = BrokenStore()
    census = Census(store)
    assert census.latest(NOW, NOW) is None
    store.broken = False
    assert census.latest(NOW, NOW) is not None


@pytest.mark.parametrize("error", [StoreUnavailable("count accounts", 503), TypeError("a secret value")])
def test_whatever_ends_a_count_is_logged(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    """By the request that waited for it; without the text of an error that is not the store's."""
    store = BrokenStore()
    store.error = error
    census = Census(store)
    assert census.latest(NOW, NOW) is None
    assert "accounts could not be counted" in caplog.text
    assert "secret" not in caplog.text
    store.broken = False
    assert census.latest(NOW, NOW) is not None
