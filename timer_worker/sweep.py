"""The sweep: acts for everybody who is due, slot by slot, all slots over one pool of threads.

For each slot: claim it, page through who is due, acquire silently, save the tokens in batches, then run the tasks, and
save what they changed with the ETags that the first batch returned. At last write the slot's true next time, unless
somebody lowered it meanwhile.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from shared import telemetry
from shared.accounts import Outcome, all_slots
from shared.errors import StoreError
from shared.services import Services
from shared.store import Slot, SweepRecord
from shared.sweep_queue import SWEEP_SLOTS, due_slots, queue_slots
from timer_worker.progress import Progress
from timer_worker.slot_run import SlotRun
from timer_worker.tasks import TASKS, Task, scopes_nobody_is_asked_for

CLAIM = timedelta(minutes=10)  # a crashed sweep's slot falls due again by itself after this
TIME_LIMIT = timedelta(minutes=8)  # host.json's functionTimeout and CLAIM are longer
LONGEST_WAIT_SECONDS = 10.0  # for a slot from the queue
_SLOTS_AT_A_TIME = 4  # one hands out turns, the others see theirs through: more only hold more rows in memory
_UNEVENTFUL = {Outcome.FRESH.value, Outcome.CACHED.value, Outcome.CONFLICT.value, "deleted"}
_MOST_REASONS = 5

logger = logging.getLogger(__name__)


class Sweep:
    """One pass over some slots.

    Args:
        tasks: the background work.
        time_limit, longest_wait: see Progress.
    """

    def __init__(
        self,
        app: Services,
        *,
        tasks: Sequence[Task] = TASKS,
        time_limit: timedelta = TIME_LIMIT,
        longest_wait: float = math.inf,
    ) -> None:
        self._app = app
        self._tasks = tasks
        self._started_at = app.now()
        self._progress = Progress(app, time_limit=time_limit, longest_wait=longest_wait)
        self._storage_failure = ""

    def run(self, slots: Sequence[Slot]) -> SweepRecord | None:
        """Sweeps these slots and keeps a record. None when there was no slot, or somebody else had them all."""
        if not slots:
            return None
        for task, scope in scopes_nobody_is_asked_for(self._tasks, self._app.settings.scopes):
            logger.error("task %s never runs: add %s to SCOPES", task.name, scope)
        with telemetry.sweep() as note:
            claims = [claim for claim in map(self._claim, slots) if claim]
            if not claims and not self._storage_failure:
                return None
            with ThreadPoolExecutor(_SLOTS_AT_A_TIME, thread_name_prefix="slot") as threads:
                list(threads.map(telemetry.carried(self._run_slot), claims))
            record = self._keep_record(len(claims))
            note(record.slots, record.counts, record.seconds, record.oldest_overdue, record.stopped)
        return record

    @property
    def resume_after(self) -> float | None:
        """Seconds after which the sweep shall go on, because the tenant asked for a pause; None when it is through."""
        return self._progress.resume_after

    def _claim(self, slot: Slot) -> Slot | None:
        until = self._app.now() + CLAIM
        try:
            return self._app.store.set_hint(slot, until, claimed_until=slot.claimed_until or until)
        except StoreError as error:
            self._note_storage_failure(slot, error)
            return None

    def _run_slot(self, claim: Slot) -> None:
        """A slot that fails is due again when its claim runs out; the others go on."""
        try:
            with telemetry.slot(claim.name):
                SlotRun(self._progress, claim.name, self._tasks).run()
                latest = self._app.lifecycle.next_turn(claim.name, self._app.now())
                earliest = self._app.store.earliest_due(claim.name, latest)
                if self._app.store.set_hint(claim, earliest or latest) is None:
                    logger.debug("slot %s was lowered while it was swept", claim.name)
        except StoreError as error:
            self._note_storage_failure(claim, error)

    def _note_storage_failure(self, slot: Slot, error: StoreError) -> None:
        self._storage_failure = self._storage_failure or f"slot {slot.name}: {error}"

    def _keep_record(self, slots: int) -> SweepRecord:
        """Stores the record, and says in one line of the log how the sweep went."""
        progress = self._progress
        record = SweepRecord(
            started_at=self._started_at,
            seconds=round(progress.seconds, 3),
            slots=slots,
            counts={name: count for name, count in sorted(progress.counts.items()) if count},
            oldest_overdue=round(progress.oldest_overdue, 1),
            stopped=progress.stopped or self._storage_failure,
        )
        try:
            self._app.store.record_sweep(record)
        except StoreError as error:
            record = replace(record, stopped=record.stopped or str(error))
        _log(record, progress.reasons)
        return record


def run_tick(app: Services) -> None:
    """One tick of the timer: sweeps what is due, or has it swept by whoever takes the messages."""
    due = due_slots(app.store, app.now())
    if app.settings.sweep_fanout == "queue":
        queue_slots(due, app.queues)
    else:
        Sweep(app).run(due)


def sweep_slot(name: str, app: Services) -> SweepRecord | None:
    """Sweeps one slot if it is still due. None when it isn't, or somebody else has it.

    When the tenant asks for a long pause, the slot is not waited for: execution time is paid for. A message that nobody
    sees until then goes back on the queue.

    Raises:
        ValueError: there is no such slot. StoreUnavailable.
    """
    if name not in all_slots():
        raise ValueError(f"{name[:40]!r} is not a slot")
    sweep = Sweep(app, longest_wait=LONGEST_WAIT_SECONDS)
    record = sweep.run([slot for slot in due_slots(app.store, app.now()) if slot.name == name])
    if sweep.resume_after is not None:
        logger.warning("slot %s goes on in %.0f s: the tenant asks for a pause", name, sweep.resume_after)
        app.queues.send(SWEEP_SLOTS, name, after=sweep.resume_after)
    return record


def _log(record: SweepRecord, reasons: Counter[str]) -> None:
    """The operator's one line: an error when the sweep ended early, a warning when somebody could not be acted for."""
    level = logging.INFO if record.counts.keys() <= _UNEVENTFUL else logging.WARNING
    counts = " ".join(f"{name}={count}" for name, count in record.counts.items()) or "nobody"
    causes = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(_MOST_REASONS))
    logger.log(
        logging.ERROR if record.stopped else level,
        "sweep: %s in %.1f s over %d slots, %.0f a second, oldest %.0f s overdue%s%s",
        counts,
        record.seconds,
        record.slots,
        record.rate,
        record.oldest_overdue,
        f"; {causes}" if causes else "",
        f"; stopped: {record.stopped}" if record.stopped else "",
    )
