"""Sweeps one slot: worker threads acquire tokens for the accounts that are due, the tokens are saved in batches, worker
threads do the tasks, and the results are saved in batches."""

import logging
import queue
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from shared import telemetry
from shared.accounts import SWEEP_LEASE, Account, Lease, Outcome, Verdict, is_owned
from shared.background import Task
from shared.background.threads import RunningTask
from shared.errors import Conflict, RowUnreadable, StoreError
from shared.store import SlotPass
from timer_worker import notifications
from timer_worker.batch import LONGEST_SECONDS, Batch
from timer_worker.progress import Progress
from timer_worker.saving import save_turns
from timer_worker.turn import Turn, fail_task, run_task, turn_that_failed

_IN_FLIGHT_PER_THREAD = 2  # so threads have work while the next page is read
_LEASES_AT_A_TIME = 64
GRACE = timedelta(seconds=5)  # beyond the tasks' limits, at which Graph calls end; then the tasks count as failed

logger = logging.getLogger(__name__)


@dataclass
class _Running:
    """One person's tasks in a worker thread.

    Attributes:
        turn: as the tasks that are done left it.
        tasks: those that are not done yet; the first is running.
        limit: seconds for all of them.
        began: when the thread began; None while they wait for one.
        current: the run of the first of them, in its thread.
    """

    turn: Turn
    tasks: list[Task]
    limit: float
    began: float | None = None
    current: RunningTask | None = None

    @property
    def seconds_left(self) -> float | None:
        return None if self.began is None else max(self.began + self.limit - time.monotonic(), 0.0)


class SlotRun:
    """Sweeps one claimed slot.

    Args:
        progress: the state of the whole sweep.
        slot: the slot's name.
        this_pass: over the slot's accounts; the run notes when each is due next.
        grace: tasks that go on for longer than this after their limits count as failed.
        is_held: is the slot still ours? When not, no further turn begins.
    """

    def __init__(
        self,
        progress: Progress,
        slot: str,
        this_pass: SlotPass,
        *,
        grace: timedelta = GRACE,
        is_held: Callable[[], bool] = lambda: True,
    ) -> None:
        self._progress = progress
        self._app = progress.app
        self._slot = slot
        self._pass = this_pass
        self._planner = progress.planner
        self._grace = grace
        self._is_held = is_held
        self._events: queue.SimpleQueue[Turn | Account] = queue.SimpleQueue()
        self._acquiring = 0
        self._running: dict[str, _Running] = {}
        self._strict = self._app.settings.strict_rotation
        # A kill costs the sign-ins of those whose redeemed tokens wait: then none waits.
        self._tokens: Batch[Turn] = Batch(longest=0.0 if self._strict else LONGEST_SECONDS)
        self._results: Batch[Turn] = Batch()
        self._lease_owner = secrets.token_hex(8)
        self._unused_leases: dict[str, Account] = {}
        self._failure: StoreError | None = None

    def run(self) -> bool:
        """Sweeps until all who are due had their turn, or the sweep must stop. Returns whether everybody was come to.

        A turn that began is completed and saved, if that is possible, even when the storage fails meanwhile: a redeemed
        token must not get lost. That holds for an error that nobody expected as well.

        Raises:
            StoreError: the storage failed. Accounts that were not saved are still due.
        """
        came_to_all = False
        try:
            with self._progress.handing_out:
                came_to_all = self._hand_out_turns()
        except StoreError as error:
            self._failure = self._failure or error
        finally:
            while self._acquiring or self._running or len(self._tokens) or len(self._results):
                self._handle_next_event()
            self._give_back_leases()
        if self._failure:
            raise self._failure
        return came_to_all

    def _hand_out_turns(self) -> bool:
        """Returns whether it came to everybody."""
        most = _IN_FLIGHT_PER_THREAD * self._app.settings.sweep_concurrency
        for account in self._take_due():
            while self._acquiring + len(self._running) >= most or (self._strict and not self._events.empty()):
                self._handle_next_event()
            if self._failure or self._progress.must_stop() or not self._is_held():
                return False
            if self._progress.is_skipped(account):
                self._pass.note(account)
            else:
                self._app.workers.submit(telemetry.carried(self._acquire), account)
                self._acquiring += 1  # after it: nobody waits for what could not begin
                self._unused_leases.pop(account.account_id, None)
        return True

    def _take_due(self) -> Iterator[Account]:
        """Yields the accounts whose turn it is; with strict rotation, after taking their leases.

        The others that are due have no turn. An account that was set aside gets its notification; when its retention is
        over, its row is deleted, with the ETag as read. An account whose tenant is no longer in ALLOWED_TENANTS is due
        again after an interval.
        """
        now = self._app.now()
        for page in self._pass.pages(now, odd_until=self._app.lifecycle.next_turn(self._slot, now)):
            ready = []
            for account in page:
                try:
                    if self._has_turn(account):
                        ready.append(account)
                except StoreError:
                    raise
                except Exception:  # an odd row must not keep the others from their turns
                    logger.exception("an account could not be put off; it is tried again")
            yield from self._take_leases(ready) if self._strict else ready

    def _has_turn(self, account: Account) -> bool:
        """Is it this account's turn? When not, does what is due instead."""
        lifecycle, now = self._app.lifecycle, self._app.now()
        if not self._app.settings.admits(account.tenant_id):
            self._put_off(replace(account, due_at=now + self._app.settings.sweep_every))
        elif not account.is_set_aside:
            return True
        elif lifecycle.is_past_retention(account, now):
            self._delete(account)
        elif notifications.is_owed(account):
            self._notify([account])
        else:
            self._put_off(lifecycle.defer_until_retention(account))
        return False

    def _put_off(self, account: Account) -> None:
        """Writes when an account is due next, and nothing else. A row that changed meanwhile is left as it is."""
        self._note(self._app.store.touch_many([account]))

    def _note(self, results: Sequence[Account | StoreError]) -> None:
        """Notes for the next passes when those who were saved are due."""
        for result in results:
            if isinstance(result, Account):
                self._pass.note(result)

    def _delete(self, account: Account) -> None:
        try:
            self._app.store.delete(account.account_id, etag=account.etag)
        except Conflict:
            return
        self._progress.count_as("deleted")

    def _take_leases(self, accounts: list[Account]) -> Iterator[Account]:
        """Takes leases, some per transaction, and yields the accounts that have ours. Nobody else redeems their refresh
        tokens meanwhile."""
        for start in range(0, len(accounts), _LEASES_AT_A_TIME):
            clock = self._app.lease_clock
            lease = Lease(self._lease_owner, clock() + SWEEP_LEASE)
            some = accounts[start : start + _LEASES_AT_A_TIME]
            free = [replace(each, lease=lease) for each in some if not (each.lease and each.lease.is_held(clock))]
            results = self._app.store.touch_many(free)
            leased = [each for each in results if isinstance(each, Account)]
            self._unused_leases.update({each.account_id: each for each in leased})
            yield from leased
            for result in results:
                if isinstance(result, StoreError) and not isinstance(result, Conflict):
                    raise result

    def _give_back_leases(self) -> None:
        """Ends the leases that were taken and not used, so that nobody waits for them. One that the storage does not
        let us end runs out by itself."""
        unused, self._unused_leases = list(self._unused_leases.values()), {}
        if not unused:
            return
        try:
            results = self._app.store.touch_many([replace(each, lease=None) for each in unused])
            for account, result in zip(unused, results, strict=True):
                if not isinstance(result, Conflict):
                    continue
                with suppress(Conflict, RowUnreadable):  # that one runs out; the others' are given back
                    known = self._app.store.get(account.account_id)
                    if known and is_owned(known.lease, self._lease_owner):
                        self._app.store.touch(replace(known, lease=None))
        except StoreError as error:
            logger.info("leases are left to run out: %s", error)

    def _acquire(self, account: Account) -> None:
        """Runs in a worker thread. Always posts an event, even on failure; `run()` would otherwise block forever."""
        turn: Turn | None = None
        try:
            if self._failure is None and self._is_held():
                turn = self._progress.take_turn(account)
        except StoreError as error:
            self._failure = self._failure or error
        except Exception:  # a fault in one person's turn must not end the others'
            logger.exception("a person's turn failed in an unexpected way")
            turn = turn_that_failed(account, self._app)
        finally:
            self._events.put(turn or account)

    def _do_tasks(self, running: _Running) -> None:
        """Runs in a worker thread. Always posts an event, unless the tasks were left behind: `run_task` catches what a
        task raises."""
        running.began = time.monotonic()
        while running.tasks and running.turn.access_token:
            with self._app.task_threads.run(running.tasks[0].name) as running.current:
                turn = run_task(running.turn, running.tasks[0], self._planner, self._app)
            if running.current.is_left_behind:
                return
            running.turn = turn
            running.tasks.pop(0)
        self._events.put(replace(running.turn, tasks_done=True))

    def _handle_next_event(self) -> None:
        """Waits for a turn from a worker thread, or until tasks are late or a batch must be saved, and handles that."""
        if self._acquiring or self._running:
            waits = [self._tokens.seconds_left, self._results.seconds_left]
            waits += [running.seconds_left for running in self._running.values()]
            try:
                self._accept(self._events.get(timeout=min((each for each in waits if each is not None), default=1.0)))
                while not self._tokens.is_full and not self._events.empty():
                    self._accept(self._events.get_nowait())
            except queue.Empty:
                self._time_out_late_tasks()
        nothing_comes = not self._acquiring and not self._running
        if self._tokens.seconds_left == 0 or (nothing_comes and len(self._tokens)):
            self._save_tokens()
        if self._results.seconds_left == 0 or (nothing_comes and len(self._results)):
            for turn in self._save(self._results.take()):
                self._progress.count(turn)

    def _accept(self, turn: Turn | Account) -> None:
        """Takes a turn from a worker thread, or the account of one that was not taken. Tasks that come back late have
        been counted already."""
        if isinstance(turn, Account):
            self._acquiring -= 1
            if self._strict:
                self._unused_leases[turn.account_id] = turn
        elif not turn.tasks_done:
            self._acquiring -= 1
            self._tokens.add(turn)
        elif self._running.pop(turn.after.account_id, None):
            self._finish(turn)

    def _time_out_late_tasks(self) -> None:
        """Goes on without tasks that are late. Their threads can't be ended."""
        late = [key for key, running in self._running.items() if running.seconds_left == 0]
        for key in late:
            running = self._running.pop(key)
            if not running.current or not running.tasks:
                self._finish(running.turn)  # they came to their end just now
                continue
            self._app.task_threads.leave_behind(running.current)
            task = running.tasks[0]
            logger.error("task %s ran out of time and is left behind", task.name)
            self._finish(fail_task(running.turn, task, "timed_out", self._planner, self._app))

    def _finish(self, turn: Turn) -> None:
        """Counts a turn whose tasks are done, after it was saved if they changed anything."""
        if turn.changed:
            self._results.add(turn)
        else:
            self._progress.count(turn)

    def _save_tokens(self) -> None:
        """Saves tokens, and then begins the tasks. No lease is held meanwhile: a task that needs a fresher token takes
        it as a request would."""
        for saved in self._save(self._tokens.take()):
            turn, tasks = self._without_stuck_tasks(saved, self._tasks_of(saved))
            if not tasks:
                self._finish(turn)
                continue
            limit = sum(task.time_limit.total_seconds() for task in tasks) + self._grace.total_seconds()
            running = _Running(turn, tasks, limit)
            self._app.task_threads.start(partial(telemetry.carried(self._do_tasks), running))
            self._running[turn.after.account_id] = running  # after it: nobody waits for what could not begin

    def _without_stuck_tasks(self, turn: Turn, tasks: list[Task]) -> tuple[Turn, list[Task]]:
        """The tasks that may be started. The others hang in too many threads, and count as failed."""
        ready = []
        for task in tasks:
            if self._app.task_threads.may_start(task.name):
                ready.append(task)
                continue
            hanging = self._app.task_threads.hanging(task.name)
            logger.error("task %s is not started: %d of its runs have not come back", task.name, hanging)
            turn = fail_task(turn, task, "hangs", self._planner, self._app)
        return turn, ready

    def _tasks_of(self, turn: Turn) -> list[Task]:
        if not turn.access_token:
            return []
        return self._planner.due(turn.after, self._app.now(), kept=turn.keeps_token)

    def _save(self, turns: list[Turn]) -> Iterator[Turn]:
        """Saves turns, and yields those that were saved.

        A turn that lost against another write is counted and left out. An unreadable row past its retention is deleted.
        A failure of the storage is kept for the end of `run`.
        """
        now = self._app.now()
        remaining = []
        for turn in turns:
            if turn.outcome is Outcome.UNREADABLE and self._app.lifecycle.is_past_retention(turn.after, now):
                self._delete(turn.before)
            else:
                remaining.append(turn)
        set_aside = []
        for turn, result in zip(remaining, save_turns(remaining, self._app), strict=True):
            if isinstance(result, Conflict):
                self._progress.count(replace(turn, verdict=Verdict(Outcome.CONFLICT)))
            elif isinstance(result, StoreError):
                self._failure = self._failure or result  # no further turn begins in this slot
            else:
                self._pass.note(result)
                if notifications.is_owed(result):
                    set_aside.append(result)
                yield replace(turn, before=result, after=result)
        self._notify(set_aside)

    def _notify(self, accounts: list[Account]) -> None:
        """Sends notifications, then notes them on the accounts. A row that changed meanwhile is left as it is."""
        notified = notifications.send(accounts, self._app)
        if notified:
            later = [self._app.lifecycle.defer_until_retention(account) for account in notified]
            self._note(self._app.store.save_many(later))
