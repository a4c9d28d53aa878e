"""An account store that some calls can't reach, as when the storage is down."""

from collections.abc import Collection
from typing import Any, cast

from shared.errors import StoreUnavailable
from shared.store import AccountStore


def failing_store(store: AccountStore, broken: Collection[str]) -> AccountStore:
    """The same store, in which the methods named in `broken` raise StoreUnavailable."""
    return cast("AccountStore", _FailingStore(store, broken))


class _FailingStore:
    """Passes every other call on to a real store."""

    def __init__(self, store: AccountStore, broken: Collection[str]) -> None:
        self._store = store
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        return self._fail if name in self._broken else getattr(self._store, name)

    def _fail(self, *_: object, **__: object) -> None:
        raise StoreUnavailable("anything", 503)
