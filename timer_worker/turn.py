"""One person's turn: acquire silently, then do the tasks in their name. Writes nothing: `Turn` has what changed."""

import copy
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.accounts import MOST_JSON_BYTES, REDEMPTION, Account, Failure, Outcome, Verdict
from shared.clients.graph import answer_challenge
from shared.errors import GraphError
from shared.services import Services
from timer_worker.task import Task, bare

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """The state of a person's turn.

    Attributes:
        before: the account as it was read, or last saved.
        after: the account to save.
        access_token: "" when there is none.
        overdue: seconds by which the turn was late.
        failure: the account's when the turn began.
        sent: was a token request sent?
        tasks_done: have the tasks run?
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
        """How the turn went so far."""
        return self.verdict.outcome

    @property
    def changed(self) -> bool:
        """Is there anything to save?"""
        return self.after != self.before


class LeaseOver(Exception):
    """Our lease ends too soon to redeem the refresh token: another instance may redeem it meanwhile."""


def acquire_token(account: Account, app: Services) -> Turn | None:
    """Begins a turn: acquires a token.

    Returns None when our lease ends too soon, or when a token that was redeemed earlier had to be saved first. The
    person stays due then.

    Raises:
        StoreError: a token that was redeemed earlier still can't be saved.
    """
    overdue = (app.now() - account.due_at).total_seconds()
    acquisition = app.identity.acquisition(account)
    if acquisition.prepare():
        if app.unsaved_tokens.save_kept(account) or not may_redeem(account, app):
            return None
        acquisition.send()
    acquired = acquisition.complete()
    judged = app.lifecycle.apply_verdict(acquired.renewed(account), acquired.verdict, app.now())
    after = without_our_lease(judged, app)
    app.unsaved_tokens.keep(account, after)
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
    """The turn after an unexpected error in acquiring: `unavailable`, to be tried again later."""
    verdict = Verdict(Outcome.UNAVAILABLE, code="internal_error")
    overdue = (app.now() - account.due_at).total_seconds()
    after = without_our_lease(app.lifecycle.apply_verdict(account, verdict, app.now()), app)
    return Turn(account, after, verdict, overdue=overdue)


def without_our_lease(account: Account, app: Services) -> Account:
    """The account without the lease that the sweep took. Only with strict rotation does a sweep take one; any other
    lease is a request's, which ends it itself."""
    return replace(account, lease=None) if app.settings.strict_rotation else account


def may_redeem(account: Account, app: Services) -> bool:
    """May this person's refresh token be redeemed now?

    With strict rotation only while our lease lasts longer than a token request. After the lease another instance may
    redeem it, and the second use of a refresh token revokes its whole family.
    """
    if not app.settings.strict_rotation:
        return True
    return account.lease is not None and account.lease.covers(REDEMPTION, app.lease_clock)


def applicable(account: Account, tasks: Sequence[Task]) -> list[Task]:
    """The tasks for which this person granted the scopes."""
    granted = {bare(scope) for scope in account.scopes}
    return [task for task in tasks if {bare(scope) for scope in task.scopes} <= granted]


def do_tasks(turn: Turn, tasks: Sequence[Task], app: Services) -> Turn:
    """Completes a turn whose token was saved: runs the tasks one by one, each with its own time limit and state. Raises
    nothing that a task raises."""
    turn = replace(turn, tasks_done=True)
    for task in tasks:
        turn = _do_task(turn, task, app)
        if not turn.access_token:
            break
    return replace(turn, after=without_our_lease(turn.after, app))


def time_out_tasks(turn: Turn, app: Services) -> Turn:
    """Ends a turn whose tasks are late: they count as failed.

    The lease stays until it runs out. The thread that is left behind still relies on it: on a claims challenge it may
    be redeeming, or begin to.
    """
    return _fail_task(turn, "tasks: timed_out", app)


def _do_task(turn: Turn, task: Task, app: Services) -> Turn:
    """Runs one task. On a claims challenge of Graph, renews the token with the claims and runs the task once more."""

    def attempt(claims: str) -> Turn:
        nonlocal turn  # a renewed token is kept even when the task fails then
        if claims:
            turn = _renew_token(turn, claims, app)
        return _run_task(turn, task, app) if turn.access_token else turn

    try:
        return answer_challenge(attempt)
    except GraphError as error:
        logger.info("task %s: %s (request %s)", task.name, error, error.request_id)
        return _fail_task(turn, f"{task.name}: graph_{error.status or error.code}", app)
    except LeaseOver:
        logger.info("task %s: the lease was over before the token could be renewed", task.name)
        return _fail_task(turn, f"{task.name}: lease_over", app)
    except Exception as error:  # a task is the adopter's code: any error of it is recorded on the account
        logger.exception("task %s failed", task.name)
        return _fail_task(turn, f"{task.name}: {type(error).__name__}", app)


def _run_task(turn: Turn, task: Task, app: Services) -> Turn:
    """Runs one task on a copy of the account. Returns the turn with the task's state. Raises what the task raises."""
    own = copy.deepcopy(turn.after.task_state.get(task.name, {}))
    account = replace(turn.after, task_state=own, sealed_cache=b"")
    task.run(account, app.graph(turn.access_token, until=app.now() + task.time_limit))
    state = turn.after.task_state | {task.name: own}
    if len(json.dumps(state)) > MOST_JSON_BYTES:
        raise ValueError(f"the state of all tasks has more than {MOST_JSON_BYTES} bytes")
    return replace(turn, after=replace(turn.after, task_state=state))


def _renew_token(turn: Turn, claims: str, app: Services) -> Turn:
    """Acquires a token that satisfies the claims; the turn's verdict says why there is none. Raises LeaseOver."""
    acquisition = app.identity.acquisition(turn.after, claims=claims)
    if acquisition.prepare():
        if not may_redeem(turn.after, app):
            raise LeaseOver
        acquisition.send()
    acquired = acquisition.complete()
    earlier = replace(
        acquired.renewed(turn.after), recent=turn.after.recent[1:]
    )  # a turn leaves one entry in the history
    after = app.lifecycle.apply_verdict(earlier, acquired.verdict, app.now())
    app.unsaved_tokens.keep(turn.after, after)
    return replace(turn, after=after, verdict=acquired.verdict, access_token=acquired.access_token)


def _fail_task(turn: Turn, code: str, app: Services) -> Turn:
    after = app.lifecycle.apply_task_failure(turn.after, code, app.now(), before=turn.failure)
    return replace(turn, after=after, verdict=Verdict(Outcome.TASK_FAILED, code=code))
