"""Fixtures of the tests of shared/."""

import pytest

from shared.store import AccountStore, MemoryAccountStore, TableAccountStore


@pytest.fixture(params=["memory", "table"])
def store(request: pytest.FixtureRequest) -> AccountStore:
    """An empty store of each kind."""
    if request.param == "memory":
        return MemoryAccountStore()
    return TableAccountStore(request.getfixturevalue("tables"))
