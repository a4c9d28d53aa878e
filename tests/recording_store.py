"""An account store that notes which method was called, in order: for counts and orders of storage calls."""

from collections.abc import Callable
from typing import Any, cast

from shared.store import AccountStore


def record_calls(store: AccountStore, calls: list[str]) -> AccountStore:
    """The same store; the name of each method called is added to `calls`."""
    return cast("AccountStore", _RecordingStore(store, calls))


class _RecordingStore:
    """Passes every call on to a real store.

    Args:
        calls: gets the name of each method called.
    """

    def __init__(self, store: AccountStore, calls: list[str]) -> None:
        self._store = store
        self._calls = calls

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._store, name)

        def recorded(*args: Any, **options: Any) -> Any:
            self._calls.append(name)
            return method(*args, **options)

        return recorded
