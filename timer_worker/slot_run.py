"""One slot of a sweep: hands those who are due to the worker threads, saves what comes back in batches, has their tasks
done, and saves again."""

import logging
import queue
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared import telemetry
from shared.accounts import Account, Lease, Outcome, Verdict
from shared.errors import Conflict, StoreError
from timer_worker import notifications
from timer_worker.batch import Batch
from timer_worker.progress import Progress
from timer_worker.saving import save_turns
from timer_worker.tasks import Task
from timer_worker.turn import Turn, applicable, do_tasks, time_out_tasks, turn_that_failed

_IN_FLIGHT_PER_THREAD = 2  # no thread waits for work while the next slot is read
_LEASES_AT_A_TIME = 64
_LEASE = timedelta(seconds=60)
_GRACE_SECONDS = 5.0  # Graph calls end at a task's limit; what still runs after this is left behind

logger = logging.getLogger(__name__)


@dataclass
class _Running:
    """Somebody's tasks in a worker thread. The clock starts when the thread does."""

    turn: Turn
    limit: float
    began: float | None = None

    @property
    def seconds_left(self) -> float | None:
        return None if self.began is None else max(self.began + self.limit - time.monotonic(), 0.0)


class SlotRun:
    """Sweeps one claimed slot.

    Args:
        progress: of the sweep that this slot is part of.
        slot: its name.
    """

    def __init__(self, progress: Progress, slot: str, tasks: Sequence[Task]) -> None:
        self._progress = progress
        self._app = progress.app
        self._slot = slot
        self._tasks = tasks
        self._events: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()
        self._acquiring = 0
        self._running: dict[str, _Running] = {}
        self._tokens: Batch[Turn] = Batch()
        self._results: Batch[Turn] = Batch()
        self._failure: StoreError | None = None

    def run(self) -> None:
        """Returns when everybody who is due had their turn, or the sweep must stop.

        A turn that began is completed and saved as far as it goes, even when the storage fails meanwhile: a redeemed
        token must not be forgotten.

        Raises:
            StoreError: the storage failed. Whoever was not saved is still due.
        """
        try:
            with self._progress.handing_out:
                self._hand_out_turns()
        except StoreError as error:
            self._fail(error)
        while self._acquiring or self._running or len(self._tokens) or len(self._results):
            self._step()
        if self._failure:
            raise self._failure

    def _hand_out_turns(self) -> None:
        most = _IN_FLIGHT_PER_THREAD * self._app.settings.sweep_concurrency
        for account in self._due():
            while self._acquiring + len(self._running) >= most:
                self._step()
            if self._failure or self._progress.must_stop():
                break
            if not self._progress.is_skipped(account):
                self._acquiring += 1
                self._app.workers.submit(telemetry.carried(self._acquire), account)

    def _fail(self, error: StoreError) -> None:
        """No further token is asked for in this slot."""
        self._failure = self._failure or error

    def _due(self) -> Iterator[Account]:
        """Everybody whose turn it is, with our lease where refresh tokens can be used only once."""
        for page in self._app.store.due(self._slot, self._app.now()):
            ready = [account for account in page if not self._put_off(account)]
            if self._app.settings.strict_rotation:
                for start in range(0, len(ready), _LEASES_AT_A_TIME):
                    yield from self._take_leases(ready[start : start + _LEASES_AT_A_TIME])
            else:
                yield from ready

    def _put_off(self, account: Account) -> bool:
        """Does what must be done for somebody who has no turn now; False for somebody who has.

        Whoever was set aside is due for their notification, or when their retention is over: the row is deleted then,
        with the ETag as read. Nobody is acted for whose tenant was taken off ALLOWED_TENANTS; they are looked at again
        after each interval.
        """
        if not self._app.settings.admits(account.tenant_id):
            self._app.store.touch_many([replace(account, due_at=self._app.now() + self._app.settings.sweep_every)])
        elif not account.is_set_aside:
            return False
        elif self._app.lifecycle.is_over(account, self._app.now()):
            self._delete(account)
        elif notifications.is_owed(account):
            self._notify([account])
        else:
            self._app.store.touch_many([self._app.lifecycle.defer_until_retention(account)])
        return True

    def _delete(self, account: Account) -> None:
        try:
            self._app.store.delete(account.account_id, etag=account.etag)
        except Conflict:
            return
        self._progress.count_as("deleted")

    def _take_leases(self, accounts: list[Account]) -> Iterator[Account]:
        """Those whose lease we could take, in one transaction. With strict rotation nobody else may redeem
        meanwhile."""
        now = self._app.now()
        lease = Lease(secrets.token_hex(8), now + _LEASE)
        free = [replace(each, lease=lease) for each in accounts if not (each.lease and each.lease.until > now)]
        for result in self._app.store.touch_many(free):
            if isinstance(result, Account):
                yield result
            elif not isinstance(result, Conflict):
                raise result

    def _acquire(self, account: Account) -> None:
        """In a worker thread. Always posts an event, even on failure; `run()` would otherwise block forever."""
        turn = None
        try:
            if self._failure is None:
                turn = self._progress.take_turn(account)
        except Exception:  # one person's turn never ends the others'
            logger.exception("a person's turn failed in an unexpected way")
            turn = turn_that_failed(account, self._app)
        finally:
            self._events.put(turn)

    def _do_tasks(self, running: _Running, tasks: list[Task]) -> None:
        """In a worker thread."""
        running.began = time.monotonic()
        self._events.put(do_tasks(running.turn, tasks, self._app))

    def _step(self) -> None:
        """Waits for one event, or until a batch must be written."""
        if self._acquiring or self._running:
            waits = [self._tokens.seconds_left, self._results.seconds_left]
            waits += [running.seconds_left for running in self._running.values()]
            try:
                self._take(self._events.get(timeout=min((each for each in waits if each is not None), default=1.0)))
            except queue.Empty:
                self._leave_late_tasks_behind()
        nothing_comes = not self._acquiring and not self._running
        if self._tokens.seconds_left == 0 or (nothing_comes and len(self._tokens)):
            self._save_tokens()
        if self._results.seconds_left == 0 or (nothing_comes and len(self._results)):
            for turn in self._save(self._results.take()):
                self._progress.count(turn)

    def _take(self, turn: Turn | None) -> None:
        if turn is None:
            self._acquiring -= 1
        elif turn.tasks_done:
            if self._running.pop(turn.after.account_id, None):
                self._finish(turn)
        else:
            self._acquiring -= 1
            self._tokens.add(turn)

    def _leave_late_tasks_behind(self) -> None:
        late = [key for key, running in self._running.items() if running.seconds_left == 0]
        for key in late:
            logger.error("somebody's tasks ran out of time and are left behind")
            self._finish(time_out_tasks(self._running.pop(key).turn, self._app))

    def _finish(self, turn: Turn) -> None:
        if turn.changed:
            self._results.add(turn)
        else:
            self._progress.count(turn)

    def _save_tokens(self) -> None:
        """The first batch: tokens are saved before any task begins. A lease is kept while tasks may need a fresher
        token."""
        turns = [
            replace(turn, after=replace(turn.after, lease=turn.before.lease)) if self._tasks_of(turn) else turn
            for turn in self._tokens.take()
        ]
        for turn in self._save(turns):
            tasks = self._tasks_of(turn)
            if not tasks:
                self._progress.count(turn)
                continue
            limit = sum(task.time_limit.total_seconds() for task in tasks) + _GRACE_SECONDS
            running = self._running[turn.after.account_id] = _Running(turn, limit)
            self._app.workers.submit(telemetry.carried(self._do_tasks), running, tasks)

    def _tasks_of(self, turn: Turn) -> list[Task]:
        return applicable(turn.after, self._tasks) if turn.access_token else []

    def _save(self, turns: list[Turn]) -> Iterator[Turn]:
        """The turns as they are saved. Those that lost against somebody else's write are counted and left out."""
        now = self._app.now()
        remaining = []
        for turn in turns:
            if turn.outcome is Outcome.UNREADABLE and self._app.lifecycle.is_over(turn.after, now):
                self._delete(turn.before)
            else:
                remaining.append(turn)
        set_aside = []
        for turn, result in zip(remaining, save_turns(remaining, self._app), strict=True):
            if isinstance(result, Conflict):
                self._progress.count(replace(turn, verdict=Verdict(Outcome.CONFLICT)))
            elif isinstance(result, StoreError):
                self._fail(result)
            else:
                if notifications.is_owed(result):
                    set_aside.append(result)
                yield replace(turn, before=result, after=result)
        self._notify(set_aside)

    def _notify(self, accounts: list[Account]) -> None:
        """Sends each notification, then notes it on the account. A row that changed meanwhile is left as it is."""
        told = notifications.send(accounts, self._app)
        if told:
            self._app.store.save_many([self._app.lifecycle.defer_until_retention(account) for account in told])
