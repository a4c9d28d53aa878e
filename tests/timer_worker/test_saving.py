"""What becomes of a turn that can't be saved as it is, on a real storage; nobody else pays for it."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.accounts import Account, Outcome, Verdict, slot_of
from shared.errors import Conflict
from shared.services import Services
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
