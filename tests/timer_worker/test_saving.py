"""What becomes of a turn that can't be saved as it is, on a real storage; nobody else pays for it."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from shared.accounts import Account, Outcome, Verdict, slot_of
from shared.errors import Conflict, StoreError, StoreUnavailable
from shared.services import Services
from shared.store import AccountStore
from timer_worker.saving import save_turns
from timer_worker.turn import Turn


@pytest.fixture
def app(make_services: Callable[..., Services]) -> Services:
    """The app's parts."""
    return make_services(wait=lambda _: None)


@pytest.fixture
def turns(app: Services) -> list[Turn]:
    """Three people of one slot, each with a new token cache to be saved."""
    names = (f"person-{number}" for number in range(1000))
    chosen = [name for name in names if slot_of(name) == "03"][:3]
    accounts = [Account(account_id=name, sealed_cache=b"old") for name in chosen]
    stored = [each for each in app.store.save_many(accounts) if isinstance(each, Account)]
    fresh = Verdict(Outcome.FRESH)
    return [Turn(each, replace(each, sealed_cache=b"new", cache_version=1, due_at=app.now()), fresh) for each in stored]


def change(turns: list[Turn], **changes: object) -> None:
    """The second person's account is odd."""
    turns[1] = replace(turns[1], after=replace(turns[1].after, **changes))  # type: ignore[arg-type]


def stored_caches(turns: list[Turn], app: Services) -> list[bytes]:
    """What is stored of each."""
    found = [app.store.get(each.before.account_id) for each in turns]
    return [each.sealed_cache for each in found if each]


@pytest.mark.parametrize(
    "changes",
    [{"username": None}, {"extra": {"what": object()}}, {"due_at": None}, {"username": "x" * 40_000}],
    ids=["no text", "no JSON", "no time", "too long for the service"],
)
def test_a_row_that_is_refused_keeps_what_it_had(
    app: Services, turns: list[Turn], caplog: pytest.LogCaptureFixture, changes: dict[str, object]
) -> None:
    """It counts as a conflict, one line says why, and the others' tokens are saved."""
    change(turns, **changes)
    results = save_turns(turns, app)
    assert [isinstance(each, Account) for each in results] == [True, False, True]
    assert isinstance(results[1], Conflict)
    assert stored_caches(turns, app) == [b"new", b"old", b"new"]
    assert [each for each in caplog.records if "what is stored stays" in each.getMessage()]
    assert not [each for each in caplog.records if "xxx" in each.getMessage()]


def test_a_username_that_utf_8_cannot_hold_is_saved_mended(app: Services, turns: list[Turn]) -> None:
    """It came from a token's claims, and must not stop a slot."""
    change(turns, username="ad\ud800a")
    results = save_turns(turns, app)
    assert [each.username for each in results if isinstance(each, Account)] == ["", "ad\ufffda", ""]
    assert stored_caches(turns, app) == [b"new"] * 3


def test_a_cache_that_is_too_large_keeps_the_old_one_and_saves_the_rest(
    app: Services, turns: list[Turn], caplog: pytest.LogCaptureFixture
) -> None:
    """The account goes on to its next turn."""
    change(turns, sealed_cache=os.urandom(1_000_000))
    results = save_turns(turns, app)
    assert isinstance(results[1], Account)
    assert (results[1].due_at, results[1].cache_version) == (turns[1].after.due_at, 0)
    assert stored_caches(turns, app) == [b"new", b"old", b"new"]
    assert [each.levelno for each in caplog.records if "old token cache" in each.getMessage()] == [logging.ERROR]


def test_a_row_that_changed_meanwhile_is_saved_on_top(app: Services, turns: list[Turn]) -> None:
    """Unless somebody replaced its token cache."""
    app.store.touch(replace(turns[0].before, last_activity=app.now()))
    app.store.save(replace(turns[1].before, sealed_cache=b"theirs", cache_version=9))
    app.store.delete(turns[2].before.account_id)
    results = save_turns(turns, app)
    assert [type(each) for each in results] == [Account, Conflict, Conflict]
    assert stored_caches(turns, app) == [b"new", b"theirs"]


class BusyStore:
    """A store in which something happens before a write, and which then writes.

    Args:
        happenings: one per write; what is left out happens no more.
    """

    def __init__(self, store: AccountStore, happenings: list[Callable[[], object]]) -> None:
        self._store = store
        self._happenings = happenings

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def save(self, account: Account) -> Account:
        """Writes, after something has happened."""
        self._happen()
        return self._store.save(account)

    def save_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """Writes, after something has happened."""
        self._happen()
        return self._store.save_many(accounts)

    def _happen(self) -> None:
        if self._happenings:
            self._happenings.pop(0)()


def visit(app: Services, turn: Turn) -> None:
    """The person comes by: their activity is written."""
    known = app.store.get(turn.before.account_id)
    assert known
    app.store.touch(replace(known, last_activity=known.last_activity + timedelta(seconds=1)))


def while_busy(
    make_services: Callable[..., Services], app: Services, happenings: list[Callable[[], object]], **settings: str
) -> Services:
    """The app's parts on the same rows, in whose storage things happen between its writes."""
    store = cast("AccountStore", BusyStore(app.store, happenings))
    return make_services(wait=lambda _: None, store=store, **settings)


def test_a_row_that_changes_again_and_again_is_saved_on_top_of_it_all(
    make_services: Callable[..., Services], app: Services, turns: list[Turn]
) -> None:
    """A redeemed token is not dropped because its person comes by four times meanwhile."""
    busy = while_busy(make_services, app, [lambda: visit(app, turns[0])] * 4)
    results = save_turns(turns, busy)
    assert [type(each) for each in results] == [Account] * 3
    assert stored_caches(turns, app) == [b"new"] * 3
    row = app.store.get(turns[0].before.account_id)
    assert row
    assert row.last_activity == turns[0].before.last_activity + timedelta(seconds=4)


def test_a_row_that_never_stands_still_keeps_its_token_for_later(
    make_services: Callable[..., Services], app: Services, turns: list[Turn]
) -> None:
    """It counts as a failure of the storage, and this process goes on trying."""
    strict = while_busy(make_services, app, [lambda: visit(app, turns[0])] * 10_000, REFRESH_TOKEN_ROTATION="strict")
    strict.unsaved_tokens.keep(turns[0].before, turns[0].after)
    (result,) = save_turns(turns[:1], strict)
    assert isinstance(result, StoreUnavailable)
    assert strict.unsaved_tokens.count == 1


def test_a_token_that_was_saved_by_the_other_thread_is_no_conflict(app: Services, turns: list[Turn]) -> None:
    """What else the turn changed is saved as well."""
    app.store.save(replace(turns[0].before, sealed_cache=b"new", cache_version=1))
    turns[0] = replace(turns[0], after=replace(turns[0].after, task_state={"digest": {"n": 1}}))
    results = save_turns(turns, app)
    assert [type(each) for each in results] == [Account] * 3
    row = app.store.get(turns[0].before.account_id)
    assert row
    assert (row.sealed_cache, row.cache_version, row.task_state) == (b"new", 1, {"digest": {"n": 1}})
