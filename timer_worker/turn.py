"""One person's turn: acquire silently, then do the tasks in their name. No storage here: what changed is given back."""

import copy
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.accounts import MOST_JSON_BYTES, Account, Failure, Outcome, Verdict
from shared.clients.graph import answer_challenge
from shared.errors import GraphError
from shared.identity.access import LEASE
from shared.services import Services
from timer_worker.tasks import Task, bare

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """How far a person's turn has come.

    Attributes:
        before: the account as it was read, or as it was last saved.
        after: as it shall be saved.
        overdue: seconds by which their turn was late.
        failure: the account's, when the turn began.
        sent: was a token request sent?
        tasks_done: is this the second half?
    """

    before: Account
    after: Account
    verdict: Verdict
    access_token: str = field(default="", repr=False)
    overdue: float = 0.0
    failure: Failure | None = None
    sent: bool = False
    tasks_done: bool = False

    @property
    def outcome(self) -> Outcome:
        """How it stands."""
        return self.verdict.outcome

    @property
    def changed(self) -> bool:
        """Is there anything to save?"""
        return self.after != self.before


class LeaseOver(Exception):
    """Our lease ended before the refresh token was redeemed, and somebody else may redeem it now."""


def acquire_token(account: Account, app: Services) -> Turn | None:
    """The first half of a turn: a token, or why there is none. None: our lease is over, and the person stays due."""
    overdue = (app.now() - account.due_at).total_seconds()
    acquisition = app.identity.acquisition(account)
    if acquisition.prepare():
        if not may_redeem(account, app):
            return None
        acquisition.send()
    acquired = acquisition.complete()
    after = account
    if acquired.verdict.outcome is not Outcome.MISCONFIGURED:
        judged = app.lifecycle.apply_verdict(acquired.renewed(account), acquired.verdict, app.now())
        after = replace(judged, lease=None)
    return Turn(
        account,
        after,
        acquired.verdict,
        access_token=acquired.access_token,
        overdue=overdue,
        failure=account.failure,
        sent=acquired.sent,
    )


def turn_that_failed(account: Account, app: Services) -> Turn:
    """The turn of somebody for whom acquiring raised what nobody expected: it is tried again later."""
    verdict = Verdict(Outcome.UNAVAILABLE, code="internal_error")
    overdue = (app.now() - account.due_at).total_seconds()
    return Turn(account, app.lifecycle.apply_verdict(account, verdict, app.now()), verdict, overdue=overdue)


def may_redeem(account: Account, app: Services) -> bool:
    """May this person's refresh token be redeemed now?

    With strict rotation only while our lease outlasts a token request. Afterwards somebody else may redeem, and two
    uses of one refresh token end its whole family.
    """
    if not app.settings.strict_rotation:
        return True
    return account.lease is not None and account.lease.until - app.now() >= LEASE


def applicable(account: Account, tasks: Sequence[Task]) -> list[Task]:
    """The tasks for which this person granted the scopes."""
    granted = {bare(scope) for scope in account.scopes}
    return [task for task in tasks if {bare(scope) for scope in task.scopes} <= granted]


def do_tasks(turn: Turn, tasks: Sequence[Task], app: Services) -> Turn:
    """The second half, after the token was saved: each task in turn, each with its own time limit and state."""
    turn = replace(turn, tasks_done=True)
    for task in tasks:
        turn = _do_task(turn, task, app)
        if not turn.access_token:
            break
    return replace(turn, after=replace(turn.after, lease=None))


def time_out_tasks(turn: Turn, app: Services) -> Turn:
    """The turn of somebody whose tasks did not come back."""
    failed = _fail_task(turn, "tasks: timed_out", app)
    return replace(failed, after=replace(failed.after, lease=None))


def _do_task(turn: Turn, task: Task, app: Services) -> Turn:
    """The turn after one task. A claims challenge of Graph forces one refresh with those claims; its answer decides."""

    def attempt(claims: str) -> Turn:
        nonlocal turn  # a token that was redeemed is kept, whatever the task does with it
        if claims:
            turn = _renew_token(turn, claims, app)
        return _run(turn, task, app) if turn.access_token else turn

    try:
        return answer_challenge(attempt)
    except GraphError as error:
        logger.info("task %s: %s (request %s)", task.name, error, error.request_id)
        return _fail_task(turn, f"{task.name}: graph_{error.status or error.code}", app)
    except LeaseOver:
        logger.info("task %s: the lease was over before the token could be renewed", task.name)
        return _fail_task(turn, f"{task.name}: lease_over", app)
    except Exception as error:  # a task is the adopter's code: whatever it raises is recorded on the account
        logger.exception("task %s failed", task.name)
        return _fail_task(turn, f"{task.name}: {type(error).__name__}", app)


def _run(turn: Turn, task: Task, app: Services) -> Turn:
    own = copy.deepcopy(turn.after.task_state.get(task.name, {}))
    account = replace(turn.after, task_state=own, sealed_cache=b"")
    task.run(account, app.graph(turn.access_token, until=app.now() + task.time_limit))
    state = turn.after.task_state | {task.name: own}
    if len(json.dumps(state)) > MOST_JSON_BYTES:
        raise ValueError(f"the state of all tasks has more than {MOST_JSON_BYTES} bytes")
    return replace(turn, after=replace(turn.after, task_state=state))


def _renew_token(turn: Turn, claims: str, app: Services) -> Turn:
    """The turn with a token that satisfies the claims, or with the verdict why there is none. Raises LeaseOver."""
    acquisition = app.identity.acquisition(turn.after, claims=claims)
    if acquisition.prepare():
        if not may_redeem(turn.after, app):
            raise LeaseOver
        acquisition.send()
    acquired = acquisition.complete()
    earlier = replace(acquired.renewed(turn.after), recent=turn.after.recent[1:])  # one entry of history per turn
    after = app.lifecycle.apply_verdict(earlier, acquired.verdict, app.now())
    return replace(turn, after=after, verdict=acquired.verdict, access_token=acquired.access_token)


def _fail_task(turn: Turn, code: str, app: Services) -> Turn:
    after = app.lifecycle.apply_task_failure(turn.after, code, app.now(), before=turn.failure)
    return replace(turn, after=after, verdict=Verdict(Outcome.TASK_FAILED, code=code))
