"""One slot of a sweep: who is due goes to the threads, who comes back is saved in batches, has their tasks done, and is
saved again."""

import logging
import queue
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import notifications, telemetry
from shared.accounts import Account, Lease, Outcome, State
from shared.errors import Conflict, StoreError
from shared.lifecycle import Verdict
from timer_worker.batch import Batch
from timer_worker.saving import save_turns
from timer_worker.tasks import Task
from timer_worker.turn import Turn, applicable, do_tasks, timed_out

if TYPE_CHECKING:
    from timer_worker.sweep import Sweep

_IN_FLIGHT_A_THREAD = 2  # no thread waits for work while the next slot is read
_LEASES_AT_A_TIME = 64
_LEASE = timedelta(seconds=60)
_GRACE_SECONDS = 5.0  # Graph calls end at a task's limit; what still runs after this is left behind

logger = logging.getLogger(__name__)


@dataclass
class _Running:
    """Somebody's tasks in a thread. The clock starts when the thread does."""

    turn: Turn
    limit: float
    began: float | None = None

    @property
    def seconds_left(self) -> float | None:
        return None if self.began is None else max(self.began + self.limit - time.monotonic(), 0.0)


class SlotRun:
    """Sweeps one claimed slot.

    Raises:
        StoreError: from `run`, when the storage fails; who was not saved is still due.
    """

    def __init__(self, sweep: "Sweep", slot: str) -> None:
        self._sweep = sweep
        self._app = sweep.app
        self._slot = slot
        self._events: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()
        self._acquiring = 0
        self._running: dict[str, _Running] = {}
        self._tokens: Batch[Turn] = Batch()
        self._results: Batch[Turn] = Batch()
        self._failure: StoreError | None = None

    def run(self) -> None:
        """Until everybody who is due had their turn, or the sweep must stop. What was begun is seen through and saved,
        as far as it goes, also when the storage fails meanwhile: a redeemed token must not be forgotten."""
        try:
            with self._sweep.handing_out:
                self._begin_turns()
        except StoreError as error:
            self._fail(error)
        while self._acquiring or self._running or len(self._tokens) or len(self._results):
            self._step()
        if self._failure:
            raise self._failure

    def _begin_turns(self) -> None:
        most = _IN_FLIGHT_A_THREAD * self._app.settings.sweep_concurrency
        for account in self._due():
            while self._acquiring + len(self._running) >= most:
                self._step()
            if self._failure or self._sweep.must_stop():
                break
            if not self._sweep.is_skipped(account):
                self._acquiring += 1
                self._app.workers.submit(telemetry.carried(self._acquire), account)

    def _fail(self, error: StoreError) -> None:
        """No further token is asked for in this slot."""
        self._failure = self._failure or error

    def _due(self) -> Iterator[Account]:
        for page in self._app.store.due(self._slot, self._app.now()):
            ready = [account for account in page if not self._is_put_aside(account)]
            if self._app.settings.strict_rotation:
                for start in range(0, len(ready), _LEASES_AT_A_TIME):
                    yield from self._leased(ready[start : start + _LEASES_AT_A_TIME])
            else:
                yield from ready

    def _is_put_aside(self, account: Account) -> bool:
        """Somebody who must sign in again is due when their row's time is over; it is deleted then, with the ETag as
        read. Nobody is acted for whose tenant was taken off ALLOWED_TENANTS; they are looked at again each interval."""
        if not self._app.settings.admits(account.tenant_id):
            self._app.store.touch_many([replace(account, due_at=self._app.now() + self._app.settings.sweep_every)])
            return True
        if account.state is not State.NEEDS_SIGN_IN:
            return False
        if self._app.lifecycle.is_over(account, self._app.now()):
            self._delete(account)
        elif notifications.is_owed(account):
            self._announce([account])
        else:
            self._app.store.touch_many([self._app.lifecycle.put_off(account)])
        return True

    def _delete(self, account: Account) -> None:
        try:
            self._app.store.delete(account.account_id, etag=account.etag)
        except Conflict:
            return
        self._sweep.count_as("deleted")

    def _leased(self, accounts: list[Account]) -> Iterator[Account]:
        """Those whose lease we could take, in one transaction: with strict rotation nobody else may redeem
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
        """In a worker thread. Whatever happens there, the slot hears of it: it would wait for ever."""
        taken = None
        try:
            taken = None if self._failure else self._sweep.take_turn(account)
        except Exception:
            logger.exception("a person's turn failed in an unexpected way")
        finally:
            self._events.put(taken)

    def _do_tasks(self, running: _Running, tasks: list[Task]) -> None:
        """In a worker thread."""
        running.began = time.monotonic()
        self._events.put(do_tasks(running.turn, tasks, self._app))

    def _step(self) -> None:
        """Waits for one event, or until a batch is due."""
        if self._acquiring or self._running:
            try:
                self._take(self._events.get(timeout=self._patience()))
            except queue.Empty:
                self._leave_late_tasks_behind()
        nothing_comes = not self._acquiring and not self._running
        if self._tokens.seconds_left == 0 or (nothing_comes and len(self._tokens)):
            self._save_tokens()
        if self._results.seconds_left == 0 or (nothing_comes and len(self._results)):
            self._save_results()

    def _patience(self) -> float:
        waits = [self._tokens.seconds_left, self._results.seconds_left]
        waits += [running.seconds_left for running in self._running.values()]
        return min((each for each in waits if each is not None), default=1.0)

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
            self._finish(timed_out(self._running.pop(key).turn, self._app))

    def _finish(self, turn: Turn) -> None:
        if turn.changed:
            self._results.add(turn)
        else:
            self._sweep.count(turn)

    def _save_tokens(self) -> None:
        """The first batch: tokens are safe before any task begins."""
        for turn in self._saved([self._leased_still(turn) for turn in self._tokens.take()]):
            tasks = self._tasks_of(turn)
            if not tasks:
                self._sweep.count(turn)
                continue
            limit = sum(task.time_limit.total_seconds() for task in tasks) + _GRACE_SECONDS
            running = self._running[turn.after.account_id] = _Running(turn, limit)
            self._app.workers.submit(telemetry.carried(self._do_tasks), running, tasks)

    def _tasks_of(self, turn: Turn) -> list[Task]:
        return applicable(turn.after, self._sweep.tasks) if turn.access_token else []

    def _leased_still(self, turn: Turn) -> Turn:
        """Their tasks may need a fresher token: the lease is kept until they are done."""
        return replace(turn, after=replace(turn.after, lease=turn.before.lease)) if self._tasks_of(turn) else turn

    def _save_results(self) -> None:
        """The second batch: task state and outcomes, with the ETags of the first."""
        for turn in self._saved(self._results.take()):
            self._sweep.count(turn)

    def _saved(self, turns: list[Turn]) -> Iterator[Turn]:
        """The turns with what they changed saved; those that lost against somebody else's write are counted and left
        out."""
        self._delete_what_is_over([turn for turn in turns if self._is_over(turn)])
        turns = [turn for turn in turns if not self._is_over(turn)]
        set_aside = []
        for turn, result in zip(turns, save_turns(turns, self._app), strict=True):
            if isinstance(result, Conflict):
                self._sweep.count(replace(turn, verdict=Verdict(Outcome.CONFLICT)))
            elif isinstance(result, StoreError):
                self._fail(result)
            else:
                set_aside += [result] if notifications.is_owed(result) else []
                yield replace(turn, before=result, after=result)
        self._announce(set_aside)

    def _announce(self, accounts: list[Account]) -> None:
        """Tells, then notes it; a row that changed meanwhile is left as it is."""
        told = notifications.send(accounts, self._app)
        if told:
            self._app.store.save_many([self._app.lifecycle.put_off(account) for account in told])

    def _is_over(self, turn: Turn) -> bool:
        return turn.outcome is Outcome.UNREADABLE and self._app.lifecycle.is_over(turn.after, self._app.now())

    def _delete_what_is_over(self, turns: list[Turn]) -> None:
        for turn in turns:
            self._delete(turn.before)
