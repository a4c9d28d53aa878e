"""The list of guards is up to date; `python -m tests.security.guards` takes them out one by one."""

from pathlib import Path

import pytest

from tests.security.guards import GUARDS, Guard, applied
from tests.support import ROOT


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_guard_is_where_the_list_says(guard: Guard) -> None:
    """Its code is there once, what is left without it is still Python, and its test exists."""
    text = (ROOT / guard.file).read_text("utf-8")
    compile(applied(guard, text), guard.file, "exec")
    file, test = guard.test.split("::")
    assert f"def {test}(" in (Path(__file__).parent / file).read_text("utf-8")


def test_there_are_at_least_ten_guards() -> None:
    """Each with a name of its own."""
    assert len({guard.name for guard in GUARDS}) == len(GUARDS) >= 10
