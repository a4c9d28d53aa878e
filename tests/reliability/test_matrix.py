"""The fault matrix, cell by cell: the account afterwards, the person's page, the operator's line, the next sweep."""

import logging
import re
from datetime import timedelta

import pytest

from shared.accounts import Account, State
from tests.reliability.matrix import Due, Level, Row, Seen, Swept
from tests.reliability.rows import ROWS
from tests.reliability.scene import Scene, words_of

LEVELS = {Level.INFO: logging.INFO, Level.WARNING: logging.WARNING, Level.ERROR: logging.ERROR}


def rows_with(column: str) -> list[object]:
    """The rows that have this column, each named by its fault and its end."""
    return [pytest.param(row, id=row.name) for row in ROWS if getattr(row, column)]


@pytest.mark.parametrize("row", rows_with("swept"))
def test_sweep_ends_as_the_matrix_says(scene: Scene, row: Row) -> None:
    """Outcome, account, one line for the operator, no secret in the log; and the sweep after the fault is over."""
    expected = row.swept
    assert expected
    row.happen(scene)
    due_before, now = scene.before.due_at, scene.app.clock()
    scene.caplog.clear()
    assert scene.app.host.fire("sweep").succeeded is not expected.fails
    found = scene.everybody()
    assert [each.state for each in found] == ([] if expected.due is Due.GONE else [expected.state])
    for account in found:
        assert (account.failure.code if account.failure else "") == expected.code
        assert_due(account, expected.due, due_before, scene.app.clock() - now, scene)
    assert_told(scene, expected)
    assert scene.leaked() == set()
    row.mend(scene)
    assert_next_sweep(scene, expected)


def assert_due(account: Account, due: Due, before: object, passed: timedelta, scene: Scene) -> None:
    """Is the next turn when the matrix says?"""
    now = scene.app.clock()
    seconds = (account.due_at - now).total_seconds()
    slack = passed.total_seconds() + 1
    assert {
        Due.STILL: account.due_at == before or seconds <= 0,
        Due.RETRY_AFTER: 60 - slack <= seconds <= 120 * 1.25 + 1,
        Due.BACKOFF: 45 - slack <= seconds <= 75,
        Due.TURN: 0 < seconds <= 3600,
        Due.THEIRS: 240 <= seconds <= 300 and account.username == "new sign-in",
        Due.RETENTION: seconds > 89 * 86400,
    }[due], (due, seconds)


def assert_told(scene: Scene, expected: Swept) -> None:
    """Exactly one line at WARNING or above, of this level and with this text; none when nothing is wrong."""
    loud = scene.loud_lines()
    texts = [(each.levelno, each.getMessage()) for each in loud]
    assert len(loud) == (0 if expected.level is Level.NONE else 1), texts
    summaries = [each.getMessage() for each in scene.records if each.getMessage().startswith("sweep: ")]
    assert [bool(re.search(rf"\b{expected.outcome}=1\b", each)) for each in summaries] == (
        [] if expected.fails or not summaries else [bool(expected.outcome)]
    )
    if loud:
        assert texts[0][0] == LEVELS[expected.level]
        assert re.search(expected.line, texts[0][1]), texts


def assert_next_sweep(scene: Scene, expected: Swept) -> None:
    """The sweep after the fault is over."""
    asked = scene.tenant.log()["token_requests"]
    scene.app.clock.move(minutes=61)
    counts = scene.app.counts()
    if expected.then:
        assert counts == {expected.then: 1}
        assert scene.account.state is State.ACTIVE
    else:
        assert counts in ({}, {"deleted": 1})
        assert scene.tenant.log()["token_requests"] == asked


@pytest.mark.parametrize("row", rows_with("seen"))
def test_browser_ends_as_the_matrix_says(scene: Scene, row: Row) -> None:
    """Status, words and account; one line for the operator, no secret in the log; and the next request."""
    expected = row.seen
    assert expected
    row.happen(scene)
    scene.caplog.clear()
    page = scene.me()
    assert page.status_code == expected.status, words_of(page)
    if expected.code:
        assert f"({expected.code})" in words_of(page)
        assert expected.words in words_of(page)
    else:
        assert "Ben Okafor" in words_of(page)
    assert [each.state for each in scene.everybody()] == ([expected.state] if expected.state else [])
    assert_said(scene, expected)
    assert scene.leaked() == set()
    row.mend(scene)
    scene.app.clock.move(minutes=2)
    again = 401 if expected.state is not State.ACTIVE else 200
    assert scene.me().status_code == again


def assert_said(scene: Scene, expected: Seen) -> None:
    """One line about the request, of this level; nothing louder."""
    said = [each for each in scene.records if each.name == "shared.web.error_handler"]
    assert len(scene.loud_lines()) == (1 if expected.line and expected.level is Level.ERROR else 0)
    if not expected.line:
        assert said == []
        return
    assert [each.levelno for each in said] == [LEVELS[expected.level]]
    assert re.search(expected.line, said[0].getMessage()), said[0].getMessage()
