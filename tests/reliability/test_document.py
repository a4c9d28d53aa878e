"""docs/reliability.md says what the tests hold the app to."""

import re

from shared.accounts import Outcome
from tests.reliability.document import PAGE, written
from tests.reliability.matrix import Due
from tests.reliability.rows import ROWS


def test_the_page_and_the_matrix_are_the_same() -> None:
    """`python -m tests.reliability.document` writes the tables anew."""
    page = PAGE.read_text("utf-8")
    assert written(page) == page


def test_every_fault_has_a_name_of_its_own() -> None:
    """Also because tests are found by it."""
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))


def test_every_outcome_is_met_by_some_fault() -> None:
    """Cached tokens are no fault; the rest of §6 is all there."""
    met = {row.swept.outcome for row in ROWS if row.swept}
    assert set(Outcome) - {Outcome.CACHED} <= met


def test_nobody_is_set_aside_by_anything_but_sign_in_required() -> None:
    """The promise, over the whole matrix."""
    for row in ROWS:
        if row.swept and row.swept.due is Due.RETENTION:
            assert row.swept.outcome == "sign_in_required", row.name
        elif row.swept:
            assert row.swept.state != "needs_sign_in", row.name


def test_every_test_that_the_page_names_is_there() -> None:
    """A renamed test is renamed in the page."""
    sources = "\n".join(file.read_text("utf-8") for file in (PAGE.parents[1] / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")))
    assert len(named) > 15
    assert {name for name in named if f"def {name}(" not in sources} == set()
