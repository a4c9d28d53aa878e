"""What these tests need beyond the app."""

import pytest

from shared import sealing


@pytest.fixture
def new_key() -> str:
    """Another encryption key than the app's."""
    return sealing.new_key("k2")
