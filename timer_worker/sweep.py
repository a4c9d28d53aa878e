"""The sweep: acts for everybody who is due, slot by slot, all slots over one pool of threads.

For each slot: claim it, page through who is due, acquire silently, save the tokens in batches, then run the tasks, and
save what they changed with the ETags that the first batch returned; at last write the slot's true next time, unless
somebody lowered it meanwhile.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from shared import telemetry
from shared.accounts import Account, Outcome, Verdict, all_slots
from shared.clients.queues import SWEEP_SLOTS
from shared.error_codes import explain
from shared.errors import StoreError
from shared.identity.classification import NO_REFRESH_TOKEN
from shared.services import Services
from shared.store import Slot, SweepRecord
from timer_worker import turn
from timer_worker.slot_run import SlotRun
from timer_worker.tasks import TASKS, Task
from timer_worker.turn import Turn

CLAIM = timedelta(minutes=10)  # a crashed sweep's slot falls due again by itself after this
TIME_LIMIT = timedelta(minutes=8)  # host.json's functionTimeout and CLAIM are longer
_SLOTS_AT_A_TIME = 4  # one hands out turns, the others see theirs through: more only hold more rows in memory
_PROOF = (Outcome.FRESH, Outcome.SIGN_IN_REQUIRED)  # answers that a token endpoint gives to a client it accepted
_UNEVENTFUL = {Outcome.FRESH.value, Outcome.CACHED.value, Outcome.CONFLICT.value, "deleted"}
_MOST_REASONS = 5

logger = logging.getLogger(__name__)


class Sweep:
    """One pass over some slots.

    Args:
        tasks: the background work.
        time_limit: nobody's turn begins later than this.
    """

    def __init__(
        self,
        app: Services,
        *,
        tasks: Sequence[Task] = TASKS,
        time_limit: timedelta = TIME_LIMIT,
    ) -> None:
        self.app = app
        self.tasks = tasks
        self.started_at = app.now()
        self._began = time.monotonic()
        self._ends_at = self._began + time_limit.total_seconds()
        self.handing_out = threading.Lock()
        self._first = threading.Lock()
        self._proven = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._oldest_overdue = 0.0
        self._skipped_tenants: set[str] = set()
        self._broken = ""
        self.stopped = ""

    @telemetry.a_sweep
    def over(self, slots: Sequence[Slot]) -> SweepRecord | None:
        """Sweeps these slots and keeps a record; None when there was none, or all were somebody else's."""
        claims = [claimed for claimed in (self._claimed(slot) for slot in slots) if claimed]
        if not claims and not self._broken:
            return None
        with ThreadPoolExecutor(_SLOTS_AT_A_TIME, thread_name_prefix="slot") as threads:
            list(threads.map(telemetry.carried(self._slot), claims))
        record = SweepRecord(
            started_at=self.started_at,
            seconds=round(time.monotonic() - self._began, 3),
            slots=len(claims),
            counts={name: count for name, count in sorted(self._counts.items()) if count},
            oldest_overdue=round(self._oldest_overdue, 1),
            stopped=self.stopped or self._broken,
        )
        return self._kept(record)

    def _kept(self, record: SweepRecord) -> SweepRecord:
        """Keeps the record, and says in one line of the log how the sweep went."""
        try:
            self.app.store.record_sweep(record)
        except StoreError as error:
            record = replace(record, stopped=record.stopped or str(error))
        _log(record, self._reasons)
        return record

    def must_stop(self) -> bool:
        """No further person's turn may begin."""
        if not self.stopped and time.monotonic() >= self._ends_at:
            self.stop("time_limit")
        return bool(self.stopped)

    def stop(self, reason: str) -> None:
        """Ends the sweep early; who was not reached stays due. The first reason stands."""
        with self._lock:
            self.stopped = self.stopped or reason

    def is_skipped(self, account: Account) -> bool:
        """Has this person's tenant refused the app in this pass?"""
        return account.tenant_id in self._skipped_tenants

    def take_turn(self, account: Account) -> Turn | None:
        """One person's token; None when the sweep stopped before. Until somebody's turn has shown that our credentials
        are good, one at a time."""
        if self._proven.is_set():
            return self._paced(account)
        with self._first:
            if not self._proven.is_set():
                taken = self._paced(account)
                if taken and taken.outcome in _PROOF and taken.verdict.code != NO_REFRESH_TOKEN:
                    self._proven.set()
                return taken
        return self._paced(account)  # who waited for the proof goes on beside the others

    def count(self, finished: Turn) -> None:
        """A person's turn is over."""
        self.count_as(finished.outcome.value, overdue=finished.overdue, reason=finished.verdict.code)

    def count_as(self, name: str, *, overdue: float = 0.0, reason: str = "") -> None:
        """The same, by the name of the count."""
        with self._lock:
            self._counts[name] += 1
            self._reasons.update([f"{name} {reason}"] if reason else [])
            self._oldest_overdue = max(self._oldest_overdue, overdue)

    def _paced(self, account: Account) -> Turn | None:
        while seconds := self.app.pace.seconds_to_wait():
            if time.monotonic() + seconds >= self._ends_at:
                self.stop("the tenant throttles or fails for longer than this sweep may last")
            if self.must_stop():
                return None
            self.app.wait(seconds)
        if self.must_stop() or self.is_skipped(account) or not turn.may_redeem(account, self.app):
            return None
        taken = turn.acquire(account, self.app)
        self.app.pace.heard(taken.verdict)
        if taken.outcome is Outcome.MISCONFIGURED:
            self._misconfigured(account, taken.verdict)
        return taken

    def _misconfigured(self, account: Account, verdict: Verdict) -> None:
        """Stops the sweep for a fault that affects everybody; in a multi-tenant app, skips a tenant that refuses it."""
        affects = explain(verdict.code, outcome=verdict.outcome).affects
        if affects == "app" or (affects == "tenant" and not self.app.settings.multi_tenant):
            self.stop(f"misconfigured {verdict.code}")
        elif affects == "tenant":
            with self._lock:
                self._skipped_tenants.add(account.tenant_id)
                self._reasons[f"tenant {account.tenant_id} skipped"] = 1

    def _claimed(self, slot: Slot) -> Slot | None:
        until = self.app.now() + CLAIM
        try:
            return self.app.store.set_hint(slot, until, claimed_until=slot.claimed_until or until)
        except StoreError as error:
            self._storage_failed(slot, error)
            return None

    @telemetry.a_slot
    def _slot(self, claimed: Slot) -> None:
        """A slot that fails is due again when its claim runs out; the others go on."""
        try:
            SlotRun(self, claimed.name).run()
            self._finish(claimed)
        except StoreError as error:
            self._storage_failed(claimed, error)

    def _storage_failed(self, slot: Slot, error: StoreError) -> None:
        with self._lock:
            self._broken = self._broken or f"slot {slot.name}: {error}"

    def _finish(self, claimed: Slot) -> None:
        latest = self.app.lifecycle.next_turn(claimed.name, self.app.now())
        earliest = self.app.store.earliest_due(claimed.name, latest)
        if self.app.store.set_hint(claimed, earliest or latest) is None:
            logger.debug("slot %s was lowered while it was swept", claimed.name)


def due_slots(app: Services, now: datetime) -> list[Slot]:
    """The slots in which somebody may be due: one small read."""
    return [slot for slot in app.store.slots() if slot.next_due_at <= now]


def tick(app: Services) -> None:
    """One tick of the timer: sweeps what is due, or has it swept by whoever takes the messages."""
    due = due_slots(app, app.now())
    if app.settings.sweep_fanout == "queue":
        fan_out(due, app)
    else:
        Sweep(app).over(due)


def fan_out(slots: Sequence[Slot], app: Services) -> None:
    """One message a slot. A message too many is harmless: the slot's claim decides."""
    for slot in slots:
        app.queues.send(SWEEP_SLOTS, slot.name)


def sweep_slot(name: str, app: Services) -> SweepRecord | None:
    """Sweeps one slot if it is due still; None when it isn't, or somebody else has it.

    Raises:
        ValueError: there is no such slot.
    """
    if name not in all_slots():
        raise ValueError(f"{name[:40]!r} is not a slot")
    return Sweep(app).over([slot for slot in due_slots(app, app.now()) if slot.name == name])


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
