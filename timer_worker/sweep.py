"""The sweep: acts for all people who are due, slot by slot. All slots share one pool of threads.

For each slot: claim it when its run starts, read the accounts that are due, acquire silently, save the tokens in
batches, run the tasks, and save what they changed with the ETags that the first save returned. The claim is renewed
meanwhile. Then list those who had their turns anew, and at last write when the first in the slot is due, or an earlier
time when the hint was lowered meanwhile.
"""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from shared import telemetry
from shared.accounts import Outcome, all_slots
from shared.background import first_edition
from shared.background.planner import missing_scopes
from shared.errors import StoreError
from shared.services import Services
from shared.store import Slot, SweepRecord
from shared.sweep_queue import SWEEP_SLOTS, due_slots, queue_slots
from timer_worker.claim import RENEW_SECONDS, claim_slot
from timer_worker.progress import Progress
from timer_worker.slot_run import GRACE, SlotRun

TIME_LIMIT = timedelta(minutes=8)  # host.json's functionTimeout is longer
LONGEST_WAIT_SECONDS = 10.0  # for a slot from the queue
_SLOTS_AT_A_TIME = 4  # one hands out turns, the others complete theirs: more would only hold more rows in memory
_UNEVENTFUL = {Outcome.FRESH.value, Outcome.CACHED.value, Outcome.CONFLICT.value, "deleted"}
_MOST_REASONS = 5

logger = logging.getLogger(__name__)


class Sweep:
    """One sweep over some slots.

    Args:
        tasks: the background work to do, instead of the app's.
        time_limit: no turn begins later than this after the start.
        longest_wait: seconds that its pauses may take together. After that the sweep ends and sets `resume_after`.
        grace: tasks that go on for longer than this after their limits count as failed.
        renew_every: seconds after which the claim of a slot is renewed.
    """

    def __init__(
        self,
        app: Services,
        *,
        tasks: Iterable[first_edition.AnyTask] | None = None,
        time_limit: timedelta = TIME_LIMIT,
        longest_wait: float = math.inf,
        grace: timedelta = GRACE,
        renew_every: float = RENEW_SECONDS,
    ) -> None:
        self._app = app
        self._planner = app.planner if tasks is None else app.planner_of(tasks)
        self._grace = grace
        self._started_at = app.now()
        self._progress = Progress(app, self._planner, time_limit=time_limit, longest_wait=longest_wait)
        self._renew_every = renew_every
        self._claimed: set[str] = set()
        self._failure = ""

    def run(self, slots: Sequence[Slot]) -> SweepRecord | None:
        """Sweeps these slots. Returns the record, which is stored; None when no slot could be claimed.

        Raises nothing when the storage fails: the record says so in `stopped`.
        """
        if not slots:
            return None
        self._tell_what_nobody_is_asked_for()
        with telemetry.sweep():
            with ThreadPoolExecutor(_SLOTS_AT_A_TIME, thread_name_prefix="slot") as threads:
                runs = [threads.submit(telemetry.carried(self._run_slot), slot) for slot in slots]
                self._app.slot_runs.update(runs)
            self._app.slot_runs.difference_update(runs)
            if not (self._claimed or self._failure or self._progress.stopped):
                return None
            record = self._keep_record(len(self._claimed))
            telemetry.record_sweep(
                slots=record.slots,
                people=record.counts,
                seconds=record.seconds,
                oldest_overdue=record.oldest_overdue,
                stopped=record.stopped,
            )
        return record

    @property
    def resume_after(self) -> float | None:
        """Seconds after which the rest must be swept, as the tenant asked for a pause; None when nothing is left."""
        return self._progress.resume_after

    def _run_slot(self, slot: Slot) -> None:
        """Claims a slot, sweeps it, and writes its next time. When the storage fails it is due again when the claim
        ends; when the sweep must stop before, it is left as it is."""
        if self._progress.must_stop() or self._app.closing.is_set():
            return
        claim = None
        try:
            claim = claim_slot(slot, self._app, renew_every=self._renew_every)
            if claim is None:
                return
            self._claimed.add(slot.name)
            with telemetry.slot(slot.name):
                this_pass = self._app.store.begin_pass(claim.row)
                run = SlotRun(self._progress, slot.name, this_pass, grace=self._grace, is_held=claim.is_held)
                with claim.kept():
                    if run.run() and claim.is_held():
                        this_pass.complete()
                latest = self._app.lifecycle.next_turn(slot.name, self._app.now())
                due_at = min(this_pass.next_due() or latest, latest)
                if self.resume_after is not None:  # no tick asks for the slot before the tenant's pause is over
                    due_at = max(due_at, self._app.now() + timedelta(seconds=self.resume_after))
                claim.finish(due_at, this_pass.index)
        except StoreError as error:
            self._note_failure(slot, str(error))
        except Exception as error:  # the other slots go on, and the sweep has its record
            logger.exception("slot %s failed in an unexpected way", slot.name)
            self._note_failure(slot, type(error).__name__)
            if claim:
                with suppress(StoreError):
                    claim.give_back()

    def _tell_what_nobody_is_asked_for(self) -> None:
        """Logs the permissions that sign-in does not ask for, of tasks that are on for everybody: they wait for consent
        for everybody who signs in."""
        for task in self._planner.tasks:
            if task.default == "on":
                for scope in missing_scopes(task.scopes, self._app.settings.scopes):
                    if self._app.settings.graph_url:
                        logger.error("task %s never runs: add %s to SCOPES", task.name, scope)
                    else:
                        logger.info(
                            "task %s doesn't run: it needs %s, and there is no Microsoft Graph", task.name, scope
                        )

    def _note_failure(self, slot: Slot, why: str) -> None:
        self._failure = self._failure or f"slot {slot.name}: {why}"

    def _keep_record(self, slots: int) -> SweepRecord:
        """Stores the record and logs it."""
        progress = self._progress
        record = SweepRecord(
            started_at=self._started_at,
            seconds=round(progress.seconds, 3),
            slots=slots,
            counts={name: count for name, count in sorted(progress.counts.items()) if count},
            oldest_overdue=round(progress.oldest_overdue, 1),
            stopped=progress.stopped or self._failure,
        )
        try:
            self._app.store.record_sweep(record)
        except StoreError as error:
            record = replace(record, stopped=record.stopped or str(error))
        _log_record(record, progress.reasons)
        return record


def run_tick(app: Services) -> None:
    """Handles one tick of the timer: sweeps the slots that are due, or puts one message per due slot on the queue.

    Raises:
        StoreUnavailable: the hints can't be read, or the queue fails.
    """
    due = _due_slots(app)
    if app.settings.sweep_fanout == "queue":
        queue_slots(due, app.queues)
    else:
        Sweep(app).run(due)


def sweep_slot(name: str, app: Services) -> SweepRecord | None:
    """Sweeps one slot if it is due. Returns None when it is not, or another sweep has it.

    Does not wait when the tenant asks for a long pause, because execution time is paid for: puts a message on the queue
    that becomes visible after the pause.

    Raises:
        ValueError: there is no such slot.
        StoreUnavailable: the hints can't be read, or the queue fails.
    """
    if name not in all_slots():
        raise ValueError(f"{name[:40]!r} is not a slot")
    sweep = Sweep(app, longest_wait=LONGEST_WAIT_SECONDS)
    record = sweep.run([slot for slot in _due_slots(app) if slot.name == name])
    if sweep.resume_after is not None:
        logger.warning("slot %s goes on in %.0f s: the tenant asks for a pause", name, sweep.resume_after)
        app.queues.send(SWEEP_SLOTS, name, after=sweep.resume_after)
    return record


def _due_slots(app: Services) -> list[Slot]:
    return due_slots(app.store, app.now(), lease_now=app.lease_clock(), sweep_every=app.settings.sweep_every)


def _log_record(record: SweepRecord, reasons: Counter[str]) -> None:
    """Logs one line: an error when the sweep ended early, a warning when somebody got no token or a task failed."""
    level = logging.INFO if record.counts.keys() <= _UNEVENTFUL else logging.WARNING
    counts = " ".join(f"{name}={count}" for name, count in record.counts.items()) or "nobody"
    causes = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(_MOST_REASONS))
    logger.log(
        logging.ERROR if record.stopped else level,
        "sweep: %s in %.1f s over %d slots, %.0f per second, oldest %.0f s overdue%s%s",
        counts,
        record.seconds,
        record.slots,
        record.rate,
        record.oldest_overdue,
        f"; {causes}" if causes else "",
        f"; stopped: {record.stopped}" if record.stopped else "",
    )
