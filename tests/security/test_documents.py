"""docs/security.md and docs/asvs.md speak of what is there."""

import re

import pytest

from tests.support import ROOT

PAGES = ("docs/security.md", "docs/asvs.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    """In the file that is named."""
    named = re.findall(r"`([\w/]*test_\w+\.py)(?:::(\w+))?`", (ROOT / page).read_text("utf-8"))
    assert len(named) > 20
    for file, test in named:
        path = ROOT / (file if file.startswith("tests/") else f"tests/security/{file}")
        assert not test or f"def {test}(" in path.read_text("utf-8"), (file, test)
