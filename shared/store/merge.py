"""Saves an account on top of whatever has happened to its row meanwhile."""

from dataclasses import replace

from shared.accounts import Account, rebased
from shared.errors import Conflict, StoreUnavailable
from shared.store.protocol import AccountStore

_TRIES = 20  # each one lost against another write: nothing of ours writes one row so often


def save_merged(store: AccountStore, after: Account, *, before: Account) -> Account:
    """Saves our changes since `before` on top of the row as it is now, again and again while it changes.

    A token cache of ours that an earlier try has stored already is recognised: each sealing is unique.

    Returns:
        The account as it is stored now.

    Raises:
        Conflict: the row is gone, or somebody replaced its token cache.
        RowRefused, RowTooLarge: the storage will never take it.
        StoreUnavailable: the storage fails, or the row kept changing.
    """
    for _ in range(_TRIES):
        known = store.get(after.account_id)
        if known is not None and known.sealed_cache == after.sealed_cache != before.sealed_cache:
            before = replace(before, sealed_cache=known.sealed_cache, cache_version=known.cache_version)
            after = replace(after, cache_version=known.cache_version)
        ours = rebased(after, before=before, known=known)
        if ours is None:
            raise Conflict(after.account_id)
        if ours == known:
            return known
        try:
            return store.save(ours)
        except Conflict:
            continue
    raise StoreUnavailable("write accounts", 412, "the row kept changing")
