"""The claim of one slot: taken when its run starts, renewed while it runs, and given back with the slot's next time.

Claims are written and judged by the lease clock (`Services.lease_clock`): another's by the earliest time that it can
be now, our own by the latest.
"""

import logging
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from shared import telemetry
from shared.errors import StoreError
from shared.services import Services
from shared.store import Slot
from shared.store.slots import CLAIM, LONGEST_RUN, Index
from shared.sweep_queue import farthest_hint

RENEW_SECONDS = CLAIM.total_seconds() / 3  # so two renewals may fail
_MOST_TRIES = 20  # to write the row; each that fails was somebody else's success

logger = logging.getLogger(__name__)


class Claim:
    """A slot that is ours for as long as its run lasts. Used by the run's threads.

    Args:
        row: the slot as it was written with our claim.
        before: the slot as it was then.
        renew_every: seconds.
    """

    def __init__(self, app: Services, row: Slot, before: Slot, *, renew_every: float = RENEW_SECONDS) -> None:
        self._app = app
        self._row = row
        self._before = before
        self._began_at = app.now()
        self._renew_every = renew_every
        self._lost = False
        self._replaced = False
        self._lock = threading.Lock()

    @property
    def slot(self) -> str:
        """The slot's name."""
        return self._row.name

    @property
    def row(self) -> Slot:
        """The slot, as it was last written with our claim."""
        return self._row

    def is_held(self) -> bool:
        """May another turn begin in this slot? Not when the app is being closed, nor when another sweep came by.

        A claim that may have run out, as after a pause of the process, is renewed first. Once lost it stays lost.
        """
        latest = self._app.lease_clock.latest  # another host may see our claim's end by it
        if not self._row.is_claimed(latest()):
            with self._lock:
                if not self._lost and not self._row.is_claimed(latest()):
                    try:
                        self._renew()
                    except StoreError:
                        self._lost = True
        return not self._lost and not self._app.closing.is_set()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renews the claim again and again while the body runs, by a thread that ends with it: a killed process renews
        nothing. A run that hangs loses its claim when a function would have timed out."""
        ended = threading.Event()
        ends_at = time.monotonic() + LONGEST_RUN.total_seconds()

        def keep() -> None:
            while not ended.wait(self._renew_every) and not self._lost and time.monotonic() < ends_at:
                try:
                    with self._lock:
                        self._renew()
                except StoreError as error:  # the claim may last until the next try; `is_held` knows
                    logger.warning("the claim of slot %s could not be renewed: %s", self.slot, error)

        thread = threading.Thread(target=telemetry.carried(keep), name=f"claim {self.slot}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def finish(self, due_at: datetime, index: Index | None = None) -> None:
        """Gives the slot back, to be swept again at `due_at`, or earlier when somebody lowered its hint meanwhile.
        Marks it with `index`, unless an instance of the first edition has replaced the row: it may have saved somebody
        who is in no list.

        `due_at` must have been read after `kept` ended: only a row that has not moved since then proves that nobody
        became due earlier. When the slot is no longer ours this writes nothing. Raises StoreUnavailable.
        """
        self._release(due_at, finished=due_at > self._began_at, index=index)

    def give_back(self) -> None:
        """Gives the slot back as it was found, after a run that failed. Raises StoreUnavailable."""
        self._release(self._before.next_due_at, finished=False, index=self._row.index)

    def _release(self, due_at: datetime, *, finished: bool, index: Index | None) -> None:
        row = self._row
        for _ in range(_MOST_TRIES):
            marked = replace(row, index=None if self._replaced else index)
            if self._app.store.write_slot(marked.release(due_at, finished=finished)):
                return
            known = self._read_again()
            if not known.is_still_of(self._row, self._app.lease_clock()):
                self._lose()
                return
            logger.debug("slot %s was lowered while it was swept", self.slot)
            row, due_at = known, min(due_at, known.next_due_at)

    def _renew(self) -> None:
        """Writes a longer claim, or notes that it is lost. Raises StoreUnavailable."""
        row = self._row
        for _ in range(_MOST_TRIES):
            now = self._app.lease_clock()
            renewed = self._app.store.write_slot(row.renew(self._row.claim_owner, now))
            if renewed:
                self._row = renewed
                return
            row = self._read_again()
            if not row.is_still_of(self._row, now):
                break
        self._lose()

    def _read_again(self) -> Slot:
        """The row, which has moved since it was written. A row without an owner is the first edition's."""
        known = _read(self._app, self.slot)
        self._replaced = self._replaced or not known.claim_owner
        return known

    def _lose(self) -> None:
        """Notes that another sweep has the slot, and says so once."""
        if not self._lost:
            logger.warning("slot %s is another sweep's by now: no further turn begins in it", self.slot)
        self._lost = True


def claim_slot(slot: Slot, app: Services, *, renew_every: float = RENEW_SECONDS) -> Claim | None:
    """Claims a slot. Returns None when another sweep has it, or had it since it was read. Raises StoreUnavailable."""
    owner = secrets.token_hex(8)
    before = slot
    for _ in range(_MOST_TRIES):
        now = app.lease_clock()
        if before.is_claimed(now):
            return None
        claimed = app.store.write_slot(before.claim(owner, now))
        if claimed is None:
            known = _read(app, slot.name)
            if known.claim_owner == owner:  # the answer was lost, and somebody lowered the hint since
                claimed = known
            elif not known.is_due(app.now(), app.lease_clock(), farthest=farthest_hint(app.settings.sweep_every)):
                return None
            else:
                before = known
        if claimed:
            return Claim(app, claimed, before, renew_every=renew_every)
    return None


def _read(app: Services, name: str) -> Slot:
    return next(each for each in app.store.slots() if each.name == name)
