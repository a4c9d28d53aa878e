"""The writes of one run of a task: at most once where the task asks for it, and none in a dry run."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.clients.graph import Write, Written
from shared.errors import GraphError, MayHaveHappened, StoreError
from shared.store.markers import Marker, MarkerStore

logger = logging.getLogger(__name__)


@dataclass
class Writes:
    """What the Graph client of a run asks to send each write.

    Args:
        occurrence: the run's, as text; "" for a task without a schedule, which has none that a retry could share.
        dry_run: sends nothing?

    Attributes:
        sent: the writes and their answers so far; without an answer in a dry run, or when there was none.
    """

    account_id: str
    task: str
    occurrence: str
    markers: MarkerStore
    now: Callable[[], datetime]
    dry_run: bool = False
    sent: list[tuple[Write, Written | None]] = field(default_factory=list)

    def __call__(self, write: Write, send: Callable[[], Written]) -> dict[str, object]:
        """Sends the write, or finds that an earlier try of the same occurrence has sent it: its answer is then {}, or
        has the `id` alone.

        Raises:
            MayHaveHappened: an earlier try was about to send it, and nobody knows whether it did.
            GraphError: what `send` raises.
            StoreUnavailable: the marker can't be written. Nothing was sent.
        """
        if self.dry_run:
            self.sent.append((write, None))
            return {}
        if not write.once:
            return self._send(write, send).body
        if not self.occurrence:
            raise ValueError("once= needs a task with a schedule: there is no occurrence to be once in")
        owner = secrets.token_hex(8)
        marker = Marker(self.account_id, self.task, self.occurrence, write.once, owner, self.now())
        known = self.markers.insert(marker)
        if known.owner != owner:
            if known.status is None:
                raise MayHaveHappened(self.task, write.once)
            return {"id": known.answer_id} if known.answer_id else {}
        try:
            written = self._send(write, send)
        except GraphError as error:
            if error.did_nothing:
                self._settle(lambda: self.markers.remove(marker), marker)
            raise
        answer_id = written.body.get("id")
        done = replace(marker, status=written.status, answer_id=answer_id if isinstance(answer_id, str) else "")
        self._settle(lambda: self.markers.finish(done), marker)
        return written.body

    def _send(self, write: Write, send: Callable[[], Written]) -> Written:
        try:
            written = send()
        except GraphError:
            self.sent.append((write, None))
            raise
        self.sent.append((write, written))
        return written

    def _settle(self, settle: Callable[[], None], marker: Marker) -> None:
        """Notes what became of a marker. If that fails, a retry finds it without an outcome; the run goes on."""
        try:
            settle()
        except StoreError as error:
            logger.error("a marker of task %s keeps no outcome: %s", marker.task, error)
