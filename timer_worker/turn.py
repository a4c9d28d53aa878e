"""One person's turn: acquire silently, then do the tasks in their name. Writes nothing: `Turn` has what changed."""

import copy
import json
import logging
from dataclasses import dataclass, field, replace

from shared.accounts import REDEMPTION, Account, Attempt, Failure, Outcome, TaskStatus, Verdict, rebased
from shared.background import Task, TaskContext, TaskState
from shared.background.planner import Planner
from shared.background.writes import Writes
from shared.clients.graph import Graph
from shared.errors import GraphError, MayHaveHappened, SignInRequired, StoreError, TokenError
from shared.services import Services

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
        keeps_token: is this more than a task's own time?
        sent: was a token request sent?
        tasks_done: have the tasks run?
    """

    before: Account
    after: Account
    verdict: Verdict
    access_token: str = field(default="", repr=False)
    overdue: float = 0.0
    failure: Failure | None = None
    keeps_token: bool = True
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


def acquire_token(account: Account, app: Services, planner: Planner) -> Turn | None:
    """Begins a turn: acquires a token, and plans the tasks that come after it.

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
    after = planner.plan(without_our_lease(judged, app), app.now())
    app.unsaved_tokens.keep(account, after)
    return Turn(
        account,
        after,
        acquired.verdict,
        access_token=acquired.access_token,
        overdue=overdue,
        failure=account.failure,
        keeps_token=app.lifecycle.is_kept(account, app.now()),
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


def run_task(turn: Turn, task: Task, planner: Planner, app: Services) -> Turn:
    """Runs one task of a person whose token is saved. Returns the turn with what the task changed. Raises nothing that
    the task raises."""
    account, now = turn.after, app.now()
    status = planner.begin(task, account, now)
    run = prepare_run(turn, task, status, planner, app)
    final = False
    try:
        task.run(run.context)
        run.state.check()
    except TokenError as error:  # Graph asked for another token, and there is none
        logger.info("task %s: no token: %s", task.name, error)
        return _end_without_token(turn, task, error, planner, app)
    except GraphError as error:
        logger.info("task %s: %s (request %s)", task.name, error, error.request_id)
        reason, after = f"graph_{error.status or error.code}", error.retry_after or 0.0
    except MayHaveHappened as error:
        logger.error("task %s: %s", task.name, error)
        reason, after, final = "may_have_happened", 0.0, True
    except Exception as error:  # a task is the adopter's code: any error of it is recorded on the account
        logger.exception("task %s failed", task.name)
        reason, after = type(error).__name__, 0.0
    else:
        done = planner.succeed(task, status, account, app.now(), record=run.context.recorded)
        return replace(turn, after=_with_state(done, task, run.state))
    kept = replace(turn, after=_with_state(account, task, run.state))
    return fail_task(kept, task, reason, planner, app, after=after, final=final)


def fail_task(
    turn: Turn,
    task: Task,
    reason: str,
    planner: Planner,
    app: Services,
    *,
    after: float = 0.0,
    final: bool = False,
) -> Turn:
    """The turn after a task failed: it is tried again, not before `after` seconds, unless that is `final`."""
    now = app.now()
    status = planner.begin(task, turn.after, now)
    failed = planner.fail(task, status, turn.after, now, reason=reason, after=after, final=final)
    code = f"{task.name}: {reason}"
    noted = app.lifecycle.apply_task_failure(failed, code, now, before=turn.failure)
    return replace(turn, after=noted, verdict=Verdict(Outcome.TASK_FAILED, code=code))


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a task, about to begin.

    Attributes:
        state, context: on copies of what is stored.
        writes: what the task sends.
    """

    context: TaskContext
    state: TaskState
    writes: Writes


def prepare_run(
    turn: Turn, task: Task, status: TaskStatus, planner: Planner, app: Services, *, dry_run: bool = False
) -> Run:
    """A run of a task for a person whose token is saved. In a dry run nothing is written to Graph."""
    account, now = turn.after, app.now()
    states = account.task_state
    taken = len(json.dumps({name: state for name, state in states.items() if name != task.name}))
    state = TaskState(copy.deepcopy(states.get(task.name, {})), taken=taken)
    occurrence = planner.occurrence_key(task, status)
    writes = Writes(account.account_id, task.name, occurrence, app.markers, app.now, dry_run=dry_run)

    def renew(claims: str) -> str:
        known = app.store.get(account.account_id)
        if known is None or known.enrolment_id != account.enrolment_id:
            raise SignInRequired("gone")
        return app.access.acquire_token(known, claims=claims, present=False)

    graph = Graph(
        app.http,
        app.settings.graph_url,
        turn.access_token,
        until=now + task.time_limit,
        now=app.now,
        wait=app.wait,
        renew=renew,
        links=state,
        on_write=writes,
    )
    context = TaskContext(
        account=replace(account, sealed_cache=b"", task_state={}),
        graph=graph,
        state=state,
        occurrence=status.occurrence or now,
        today=planner.today(status, now),
        zone=planner.zone_of(account),
        settings={name: app.settings.of_tasks.get(name, "") for name in task.settings},
        dry_run=dry_run,
    )
    return Run(context, state, writes)


def _with_state(account: Account, task: Task, state: TaskState) -> Account:
    """The account with the task's state, also when it failed: what it did is done. What can't be kept is not."""
    try:
        state.check()
    except (TypeError, ValueError):
        return account
    if not state and task.name not in account.task_state:
        return account
    return replace(account, task_state=account.task_state | {task.name: dict(state)})


def _end_without_token(turn: Turn, task: Task, error: TokenError, planner: Planner, app: Services) -> Turn:
    """The turn after a claims challenge to which the tenant gave no token. What the tenant answered is stored already
    (`Access`); the person's history tells it."""
    if not isinstance(error, SignInRequired):
        after = getattr(error, "retry_after", None) or 0.0
        return fail_task(turn, task, f"token_{error.code}", planner, app, after=after)
    now = app.now()
    ended = replace(turn, access_token="", verdict=Verdict(Outcome.SIGN_IN_REQUIRED, code=error.code))
    try:
        known = app.store.get(turn.after.account_id)
    except StoreError:
        known = None
    merged = rebased(turn.after, before=turn.before, known=known) or known
    if known is None or merged is None:
        return replace(ended, after=turn.before)
    recent = (Attempt(now, Outcome.SIGN_IN_REQUIRED), *known.recent[1:])
    kept = replace(merged, state=known.state, failure=known.failure, due_at=known.due_at, recent=recent)
    return replace(ended, before=known, after=kept)
