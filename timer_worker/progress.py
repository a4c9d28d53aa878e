"""What the slots of one sweep share: may another turn begin, whom to skip, and what has happened so far."""

import math
import threading
import time
from collections import Counter
from datetime import timedelta

from shared.accounts import Account, Outcome, Verdict
from shared.error_codes import explain
from shared.services import Services
from timer_worker.turn import Turn, acquire_token

_PROOF = (Outcome.FRESH, Outcome.SIGN_IN_REQUIRED)  # answers that a token endpoint gives to a client it accepted


class Progress:
    """One sweep's state, used by the threads of all its slots.

    Args:
        time_limit: nobody's turn begins later than this.
        longest_wait: seconds; when the tenant asks for a longer pause, the sweep ends and says when to go on.

    Attributes:
        handing_out: held by the slot that hands out turns.
        counts: people by outcome, and `deleted`.
        reasons: people by outcome and code.
        oldest_overdue: seconds.
        stopped: why the sweep ends early, or "".
        resume_after: seconds after which the sweep shall go on; None when it need not.
    """

    def __init__(self, app: Services, *, time_limit: timedelta, longest_wait: float = math.inf) -> None:
        self.app = app
        self.handing_out = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.oldest_overdue = 0.0
        self.stopped = ""
        self.resume_after: float | None = None
        self._longest_wait = longest_wait
        self._began = time.monotonic()
        self._ends_at = self._began + time_limit.total_seconds()
        self._first = threading.Lock()
        self._proven = threading.Event()
        self._lock = threading.Lock()
        self._skipped_tenants: set[str] = set()

    @property
    def seconds(self) -> float:
        """Since the sweep began."""
        return time.monotonic() - self._began

    def must_stop(self) -> bool:
        """No further person's turn may begin."""
        if not self.stopped and time.monotonic() >= self._ends_at:
            self.stop("time_limit")
        return bool(self.stopped) or self.resume_after is not None

    def stop(self, reason: str) -> None:
        """Ends the sweep early; who was not reached stays due. The first reason stands."""
        with self._lock:
            self.stopped = self.stopped or reason

    def is_skipped(self, account: Account) -> bool:
        """Has this person's tenant refused the app in this sweep?"""
        return account.tenant_id in self._skipped_tenants

    def take_turn(self, account: Account) -> Turn | None:
        """One person's token. None: the sweep stopped before, or their tenant is skipped, or our lease was over.

        Turns are taken one at a time until an answer has shown that our credentials are good.
        """
        if self._proven.is_set():
            return self._take_turn(account)
        with self._first:
            if not self._proven.is_set():
                turn = self._take_turn(account)
                if turn and turn.sent and turn.outcome in _PROOF:
                    self._proven.set()
                return turn
        return self._take_turn(account)  # proven while we waited: beside the others

    def count(self, turn: Turn) -> None:
        """A person's turn is over."""
        self.count_as(turn.outcome.value, overdue=turn.overdue, reason=turn.verdict.code)

    def count_as(self, name: str, *, overdue: float = 0.0, reason: str = "") -> None:
        """The same, by the name of the count."""
        with self._lock:
            self.counts[name] += 1
            self.reasons.update([f"{name} {reason}"] if reason else [])
            self.oldest_overdue = max(self.oldest_overdue, overdue)

    def _take_turn(self, account: Account) -> Turn | None:
        while seconds := self.app.rate_limit.seconds_to_wait():
            if seconds > self._longest_wait:
                self.resume_after = max(seconds, self.resume_after or 0.0)
            elif time.monotonic() + seconds >= self._ends_at:
                self.stop("the tenant throttles or fails for longer than this sweep may last")
            if self.must_stop():
                return None
            self.app.wait(seconds)
        if self.must_stop() or self.is_skipped(account):
            return None
        turn = acquire_token(account, self.app)
        if turn is None:
            return None
        self.app.rate_limit.learn(turn.verdict, sent=turn.sent)
        if turn.outcome is Outcome.MISCONFIGURED:
            self._misconfigured(account, turn.verdict)
        return turn

    def _misconfigured(self, account: Account, verdict: Verdict) -> None:
        """Stops the sweep for a fault that affects everybody; in a multi-tenant app, skips a tenant that refuses it."""
        affects = explain(verdict.code, outcome=verdict.outcome).affects
        if affects == "app" or (affects == "tenant" and not self.app.settings.multi_tenant):
            self.stop(f"misconfigured {verdict.code}")
        elif affects == "tenant":
            with self._lock:
                self._skipped_tenants.add(account.tenant_id)
                self.reasons[f"tenant {account.tenant_id} skipped"] = 1
