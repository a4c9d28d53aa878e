"""One person's turn: acquire silently, then do the tasks in their name. No storage here: what changed is given back."""

import copy
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.access import LEASE, acquired, with_new_cache
from shared.accounts import MOST_JSON_BYTES, Account, Failure, Outcome
from shared.errors import GraphError
from shared.lifecycle import Verdict
from shared.services import Services
from timer_worker.tasks import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """How far a person's turn has come.

    Attributes:
        before: the account as it was read, or as it was last saved.
        after: as it shall be saved.
        overdue: seconds by which their turn was late.
        failure: the account's, when the turn began.
        tasks_done: is this the second half?
    """

    before: Account
    after: Account
    verdict: Verdict
    access_token: str = field(default="", repr=False)
    overdue: float = 0.0
    failure: Failure | None = None
    tasks_done: bool = False

    @property
    def outcome(self) -> Outcome:
        """How it stands."""
        return self.verdict.outcome

    @property
    def changed(self) -> bool:
        """Is there anything to save?"""
        return self.after != self.before


def acquire(account: Account, app: Services) -> Turn:
    """The first half: a token, or why there is none. Whatever goes wrong in it must not end the others' turns: the one
    broad catch of this app."""
    overdue = (app.now() - account.due_at).total_seconds()
    try:
        return _acquired(account, app, overdue)
    except Exception:
        logger.exception("a person's turn failed in an unexpected way")
        verdict = Verdict(Outcome.UNAVAILABLE, code="internal_error")
        return Turn(account, app.lifecycle.judged(account, verdict, app.now()), verdict, overdue=overdue)


def may_redeem(account: Account, app: Services) -> bool:
    """May this person's refresh token be redeemed now? With strict rotation, only while our lease outlasts a token
    request: after it somebody else may redeem, and two uses of one token end its whole family."""
    if not app.settings.strict_rotation:
        return True
    return account.lease is not None and account.lease.until - app.now() >= LEASE


def _acquired(account: Account, app: Services, overdue: float) -> Turn:
    result = acquired(app.identity, app.settings.key_ring, account)
    if result.verdict.outcome is Outcome.MISCONFIGURED:
        return Turn(account, account, result.verdict, overdue=overdue)
    now = app.now()
    after = app.lifecycle.judged(with_new_cache(account, app.settings.key_ring, result), result.verdict, now)
    return Turn(account, replace(after, lease=None), result.verdict, result.access_token, overdue, account.failure)


def applicable(account: Account, tasks: Sequence[Task]) -> list[Task]:
    """The tasks for which this person granted the scopes."""
    granted = {_bare(scope) for scope in account.scopes}
    return [task for task in tasks if {_bare(scope) for scope in task.scopes} <= granted]


def do_tasks(turn: Turn, tasks: Sequence[Task], app: Services) -> Turn:
    """The second half, after the token was saved: each task in turn, each with its own time limit and state.

    A claims challenge from Graph (continuous access evaluation) forces one refresh with those claims; that answer
    decides.
    """
    turn = replace(turn, tasks_done=True)
    for task in tasks:
        turn = _tried(turn, task, app)
        if not turn.access_token:
            break
    return replace(turn, after=replace(turn.after, lease=None))


def _tried(turn: Turn, task: Task, app: Services, *, challenged: bool = False) -> Turn:
    try:
        return _done(turn, task, app)
    except GraphError as error:
        if not error.claims or challenged or not may_redeem(turn.after, app):
            logger.info("task %s: %s (request %s)", task.name, error, error.request_id)
            return _task_failed(turn, f"{task.name}: graph_{error.status or error.code}", app)
        renewed = _challenged(turn, error.claims, app)
    except Exception as error:
        logger.exception("task %s failed", task.name)
        return _task_failed(turn, f"{task.name}: {type(error).__name__}", app)
    return _tried(renewed, task, app, challenged=True) if renewed.access_token else renewed


def timed_out(turn: Turn, app: Services) -> Turn:
    """The turn of somebody whose tasks did not come back."""
    failed = _task_failed(turn, "tasks: timed_out", app)
    return replace(failed, after=replace(failed.after, lease=None))


def _done(turn: Turn, task: Task, app: Services) -> Turn:
    own = copy.deepcopy(turn.after.task_state.get(task.name, {}))
    account = replace(turn.after, task_state=own, sealed_cache=b"")
    task.run(account, app.graph(turn.access_token, until=app.now() + task.time_limit))
    state = turn.after.task_state | {task.name: own}
    if len(json.dumps(state)) > MOST_JSON_BYTES:
        raise ValueError(f"the state of all tasks has more than {MOST_JSON_BYTES} bytes")
    return replace(turn, after=replace(turn.after, task_state=state))


def _challenged(turn: Turn, claims: str, app: Services) -> Turn:
    result = acquired(app.identity, app.settings.key_ring, turn.after, claims=claims)
    renewed = replace(
        with_new_cache(turn.after, app.settings.key_ring, result), recent=turn.after.recent[1:]
    )  # the same turn: one entry of history
    after = app.lifecycle.judged(renewed, result.verdict, app.now())
    return replace(turn, after=after, verdict=result.verdict, access_token=result.access_token)


def _task_failed(turn: Turn, code: str, app: Services) -> Turn:
    after = app.lifecycle.task_failed(turn.after, code, app.now(), before=turn.failure)
    return replace(turn, after=after, verdict=Verdict(Outcome.TASK_FAILED, code=code))


def _bare(scope: str) -> str:
    """A scope without the resource that it may name in front, in lower case."""
    return scope.rsplit("/", 1)[-1].lower()
