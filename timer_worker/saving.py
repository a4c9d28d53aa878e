"""Saves what people's turns changed, in as few writes as fit.

With strict rotation the stored refresh token is worthless once it was redeemed: there, a storage that fails is asked
again for as long as the leases last, and after that this process goes on trying (shared/identity/unsaved_tokens.py).
Elsewhere once is enough: the next sweep simply redeems the same tokens again.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from shared.accounts import Account
from shared.errors import Conflict, RowRefused, RowTooLarge, RowUnreadable, StoreError, StoreUnavailable
from shared.services import Services
from shared.store.merge import save_merged
from timer_worker.turn import Turn

_PATIENCE_SECONDS = (1, 2, 4, 8, 16)
_LITTLE_PATIENCE_SECONDS = (1,)

logger = logging.getLogger(__name__)


def save_turns(turns: Sequence[Turn], app: Services) -> list[Account | StoreError]:
    """Saves the accounts that changed. Returns one result per turn, in order: the account as it is stored now, or why
    what changed could not be saved.

    A Conflict says that nothing of this turn is to be saved any more: the row is gone, somebody replaced its token
    cache, or the storage will never take it.
    """
    changed = [turn for turn in turns if turn.changed]
    results = _save_patiently(changed, app)
    for turn, result in zip(changed, results, strict=True):
        if not isinstance(result, StoreUnavailable):
            app.unsaved_tokens.forget(turn.after)
    if app.settings.strict_rotation:
        _tell_when_late(changed, app)
    saved = iter(results)
    return [next(saved) if turn.changed else turn.after for turn in turns]


def _tell_when_late(turns: list[Turn], app: Services) -> None:
    """Logs that leases ran out before the new tokens were saved: somebody else may have redeemed meanwhile."""
    redeemed = [turn.before for turn in turns if turn.after.cache_version != turn.before.cache_version]
    ended = min((each.lease.until for each in redeemed if each.lease), default=None)
    if ended and ended < app.lease_clock.latest():
        over = (app.lease_clock.latest() - ended).total_seconds()
        logger.warning("a lease was over for %.0f s before new tokens were saved", over)


def _save_patiently(turns: list[Turn], app: Services) -> list[Account | StoreError]:
    """Saves, and after an outage waits and saves again what was not saved. The store knows a write of ours that was
    committed although its answer was lost."""
    results = _save(turns, app)
    for seconds in _PATIENCE_SECONDS if app.settings.strict_rotation else _LITTLE_PATIENCE_SECONDS:
        unsaved = [index for index, result in enumerate(results) if isinstance(result, StoreUnavailable)]
        if not unsaved:
            break
        app.wait(seconds)
        for index, result in zip(unsaved, _save([turns[each] for each in unsaved], app), strict=True):
            results[index] = result
    return results


def _save(turns: list[Turn], app: Services) -> list[Account | StoreError]:
    """Saves once. A row that changed meanwhile gets our changes on top."""
    results = app.store.save_many([turn.after for turn in turns])
    return [_settle(turn, result, app) for turn, result in zip(turns, results, strict=True)]


def _settle(turn: Turn, result: Account | StoreError, app: Services) -> Account | StoreError:
    """Does what can still be done about one row that was not saved."""
    try:
        if isinstance(result, Conflict):
            result = save_merged(app.store, turn.after, before=turn.before)
        if isinstance(result, RowTooLarge):
            raise result
    except RowTooLarge as error:
        result = _save_without_cache(turn, error, app)
    except RowUnreadable:  # somebody's hand; it stops nobody else
        result = Conflict(turn.after.account_id)
    except StoreError as error:
        result = error
    if isinstance(result, RowRefused):
        logger.error("an account's row is refused; what is stored stays: %s", result.reason)
        return Conflict(turn.after.account_id)
    return result


def _save_without_cache(turn: Turn, error: RowTooLarge, app: Services) -> Account | StoreError:
    """Saves the rest of the row, with the token cache that was there before."""
    logger.error("an account keeps its old token cache: %s", error.reason)
    before = turn.before
    kept = replace(turn.after, sealed_cache=before.sealed_cache, cache_version=before.cache_version)
    try:
        return save_merged(app.store, kept, before=before)
    except StoreError as failure:
        return failure
