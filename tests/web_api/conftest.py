"""Fixtures of the web API's tests."""

import pytest

from shared import sealing


@pytest.fixture
def new_key() -> str:
    """An encryption key that the app doesn't have."""
    return sealing.new_key("k2")
