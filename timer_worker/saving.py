"""Saving what people's turns changed: in as few transactions as fit, and a row that was refused once more by itself.

With strict rotation the stored refresh token is worthless once it was redeemed: there a storage that fails is asked
again for as long as the leases last. Elsewhere once is enough (an answer may have been lost after the rows were
written): the next sweep simply redeems the same tokens again.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from shared.accounts import Account, rebased
from shared.errors import Conflict, RowTooLarge, StoreError, StoreUnavailable
from shared.services import Services
from timer_worker.turn import Turn

_PATIENCE_SECONDS = (1, 2, 4, 8, 16)
_LITTLE_PATIENCE_SECONDS = (1,)
_BAD_ROW = 400

logger = logging.getLogger(__name__)


def saved(turns: Sequence[Turn], app: Services) -> list[Account | StoreError]:
    """One result a turn, in order: the account as it is stored now, or why what changed could not be saved.

    A Conflict: nothing of this turn is to be saved any more, because the row is gone, or somebody replaced its cache.
    """
    changed = [turn for turn in turns if turn.changed]
    results = iter(_written([turn.after for turn in changed], app))
    return [_settled(turn, next(results), app) if turn.changed else turn.after for turn in turns]


def _written(accounts: list[Account], app: Services) -> list[Account | StoreError]:
    results = app.store.save_many(accounts)
    for seconds in _PATIENCE_SECONDS if app.settings.strict_rotation else _LITTLE_PATIENCE_SECONDS:
        unsaved = [index for index, result in enumerate(results) if _is_outage(result)]
        if not unsaved:
            break
        app.wait(seconds)
        for index, result in zip(unsaved, app.store.save_many([accounts[each] for each in unsaved]), strict=True):
            results[index] = result
    return results


def _is_outage(result: Account | StoreError) -> bool:
    return isinstance(result, StoreUnavailable) and result.status != _BAD_ROW


def _settled(turn: Turn, result: Account | StoreError, app: Services) -> Account | StoreError:
    try:
        if isinstance(result, Conflict):
            return _on_top(turn, result, app)
        if isinstance(result, RowTooLarge):
            return _without_cache(turn, result, app)
    except StoreError as error:
        result = error
    if isinstance(result, StoreUnavailable) and result.status == _BAD_ROW:
        logger.error("an account's row is refused; what is stored stays: %s", result)
        return Conflict(turn.after.account_id)
    return result


def _on_top(turn: Turn, conflict: Conflict, app: Services) -> Account:
    """On top of what is there now, unless that makes our result void."""
    known = app.store.get(turn.after.account_id)
    if known == turn.after:
        return known  # our own write: its first answer was lost on the way
    ours = rebased(turn.after, before=turn.before, known=known)
    if ours is None:
        raise conflict
    return app.store.save(ours)


def _without_cache(turn: Turn, error: RowTooLarge, app: Services) -> Account | StoreError:
    """The rest of the row, with the token cache that was there before."""
    logger.error("an account keeps its old token cache: %s", error)
    before = turn.before
    kept = replace(turn.after, sealed_cache=before.sealed_cache, cache_version=before.cache_version)
    return app.store.save_many([kept])[0]
