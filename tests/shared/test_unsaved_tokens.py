"""What was redeemed is kept until it is stored, until its row is gone, or until its token cache was replaced."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.accounts import Account, Lease
from shared.errors import StoreUnavailable
from shared.identity.unsaved_tokens import UnsavedTokens
from shared.store import AccountStore, MemoryAccountStore
from tests.failing_store import failing_store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OURS = Lease("ours", NOW + timedelta(seconds=60))
THEIRS = Lease("theirs", NOW + timedelta(seconds=90))


class OddStore(MemoryAccountStore):
    """A store that fails for some people.

    Attributes:
        errors: by account id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[str, Exception] = {}

    def save(self, account: Account) -> Account:
        """Fails for them."""
        if account.account_id in self.errors:
            raise self.errors[account.account_id]
        return super().save(account)


class Outage:
    """A store that fails until it is mended, and a clock."""

    def __init__(self) -> None:
        self.store = OddStore()
        self.errors = self.store.errors
        self.seconds = 0.0
        self.broken: set[str] = {"get", "save"}
        self.threads: list[Callable[[], None]] = []
        store: AccountStore = failing_store(self.store, self.broken)
        self.kept = UnsavedTokens(store, clock=lambda: self.seconds, start_thread=self.threads.append)

    def row(self, name: str) -> Account:
        """What is stored."""
        found = self.store.get(name)
        assert found
        return found

    def redeem(self, name: str) -> Account:
        """Stores a row, and keeps what was redeemed from it. Returns the row."""
        before = self.store.save(Account(account_id=name, sealed_cache=b"old", cache_version=7, lease=OURS))
        self.kept.keep(before, replace(before, sealed_cache=b"new", cache_version=8, lease=None))
        return before


@pytest.fixture
def outage() -> Outage:
    """The storage fails."""
    return Outage()


def test_a_redeemed_token_is_saved_when_the_storage_answers_again(outage: Outage) -> None:
    """However long that takes. One thread serves all."""
    for name in ("ada", "ben"):
        outage.redeem(name)
    for _ in range(50):
        outage.seconds += 60
        outage.kept.retry()
    assert outage.kept.count == 2
    outage.broken.clear()
    outage.kept.retry()
    assert [outage.row(name).sealed_cache for name in ("ada", "ben")] == [b"new", b"new"]
    assert (outage.kept.count, len(outage.threads)) == (0, 1)


def test_whoever_redeemed_has_the_first_seconds_for_itself(outage: Outage) -> None:
    """The thread does not race with them."""
    outage.broken.clear()
    outage.redeem("ada")
    outage.seconds += 4.9
    outage.kept.retry()
    assert outage.row("ada").sealed_cache == b"old"


@pytest.mark.parametrize("error", [StoreUnavailable("write accounts", 500), RuntimeError("nobody expected it")])
def test_one_row_that_fails_does_not_keep_the_others_back(outage: Outage, error: Exception) -> None:
    """The next attempt begins with another one, whatever the first one's error is."""
    outage.broken.clear()
    outage.redeem("ada")
    outage.redeem("ben")
    outage.seconds += 60
    outage.errors["ada"] = error
    outage.kept.retry()
    outage.kept.retry()
    assert outage.row("ben").sealed_cache == b"new"
    assert outage.kept.count == 1


@pytest.mark.parametrize("holder", [False, True], ids=["by the thread", "by the next holder"])
def test_a_token_redeemed_from_one_that_is_kept_is_saved(outage: Outage, holder: bool) -> None:
    """Two claims challenges in one turn: the row never had the token in between, and its own was redeemed first."""
    first = outage.redeem("ada")
    second = replace(first, sealed_cache=b"new", cache_version=8)
    outage.kept.keep(second, replace(second, sealed_cache=b"newest", cache_version=9, lease=None))
    outage.broken.clear()
    outage.seconds += 60
    if holder:
        assert outage.kept.save_kept(outage.row("ada"))
    else:
        outage.kept.retry()
    row = outage.row("ada")
    assert (row.sealed_cache, row.cache_version, row.lease, outage.kept.count) == (b"newest", 9, None, 0)


def test_the_row_s_changes_since_then_stay(outage: Outage) -> None:
    """A visit, and a task's state."""
    before = outage.redeem("ada")
    outage.store.save(replace(before, last_activity=NOW, task_state={"digest": {"n": 1}}))
    outage.broken.clear()
    outage.seconds += 60
    outage.kept.retry()
    row = outage.row("ada")
    assert (row.sealed_cache, row.last_activity, row.task_state) == (b"new", NOW, {"digest": {"n": 1}})


def test_a_newer_sign_in_stays_and_a_row_that_is_gone_does_not_come_back(outage: Outage) -> None:
    """What is kept is dropped then."""
    ada, _ = outage.redeem("ada"), outage.redeem("ben")
    outage.store.save(replace(ada, sealed_cache=b"newer", cache_version=9, lease=None))
    outage.store.delete("ben")
    outage.broken.clear()
    outage.seconds += 60
    outage.kept.retry()
    assert outage.row("ada").sealed_cache == b"newer"
    assert outage.store.get("ben") is None
    assert outage.kept.count == 0


def test_whoever_holds_the_lease_next_saves_what_is_kept_and_does_not_redeem(outage: Outage) -> None:
    """Their lease ends with it. After that, nothing is kept and they may redeem."""
    leased = outage.store.touch(replace(outage.redeem("ada"), lease=THEIRS))
    with pytest.raises(StoreUnavailable):
        outage.kept.save_kept(leased)
    outage.broken.clear()
    assert outage.kept.save_kept(leased) is True
    row = outage.row("ada")
    assert (row.sealed_cache, row.cache_version, row.lease) == (b"new", 8, None)
    assert outage.kept.save_kept(row) is False


def test_a_row_with_another_cache_than_the_redeemed_one_may_be_redeemed(outage: Outage) -> None:
    """What is kept for the old one is dropped."""
    newer = outage.store.save(replace(outage.redeem("ada"), sealed_cache=b"newer", cache_version=9, lease=THEIRS))
    assert outage.kept.save_kept(newer) is False
    assert outage.kept.count == 0


def test_nothing_is_kept_where_tokens_can_be_used_again(outage: Outage) -> None:
    """Nor where the token cache is the old one."""
    before = outage.redeem("ada")
    outage.kept.forget(replace(before, sealed_cache=b"new"))
    outage.kept.keep(before, replace(before, due_at=NOW))
    reusable = UnsavedTokens(outage.store, enabled=False, start_thread=outage.threads.append)
    reusable.keep(before, replace(before, sealed_cache=b"new", cache_version=8))
    assert (outage.kept.count, reusable.count, len(outage.threads)) == (0, 0, 1)


def test_a_process_that_closes_tries_a_last_time(outage: Outage) -> None:
    """Without waiting for anything."""
    outage.redeem("ada")
    outage.broken.clear()
    outage.kept.close()
    assert outage.row("ada").sealed_cache == b"new"
