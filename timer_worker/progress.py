"""The state that the slots of one sweep share: whether another turn may begin, which tenants to skip, the counts."""

import math
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from shared.accounts import Account, Outcome
from shared.background.planner import Planner
from shared.error_codes import explain
from shared.services import Services
from timer_worker.turn import Turn, acquire_token

_PROOF = (Outcome.FRESH, Outcome.SIGN_IN_REQUIRED)  # answers that a token endpoint gives to a client it accepted


class Progress:
    """One sweep's state, used by the threads of all its slots.

    Args:
        time_limit: no turn begins later than this after the start.
        longest_wait: seconds that its pauses may take together. After that the sweep ends and sets `resume_after`.

    Attributes:
        planner: says which tasks run.
        handing_out: the lock of the slot that hands out turns; one slot does at a time.
        counts: people by outcome, and `deleted` rows.
        reasons: people by outcome and code, tenants that are skipped, and what refusals of the app mean.
        oldest_overdue: seconds by which the most overdue person was late.
        stopped: why the sweep ends early; "" when it doesn't.
        resume_after: seconds after which the rest must be swept; None when nothing is left for a pause.
    """

    def __init__(
        self, app: Services, planner: Planner, *, time_limit: timedelta, longest_wait: float = math.inf
    ) -> None:
        self.app = app
        self.planner = planner
        self.handing_out = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.oldest_overdue = 0.0
        self.stopped = ""
        self.resume_after: float | None = None
        self._longest_wait = longest_wait
        self._waited = 0.0
        self._began = time.monotonic()
        self._ends_at = self._began + time_limit.total_seconds()
        self._one_at_a_time = threading.Lock()
        self._credential_proven = threading.Event()
        self._lock = threading.Lock()
        self._proven_tenants: set[str] = set()
        self._skipped_tenants: set[str] = set()
        self._suspects: dict[tuple[str, str], str] = {}

    @property
    def seconds(self) -> float:
        """Seconds since the sweep began."""
        return time.monotonic() - self._began

    def must_stop(self) -> bool:
        """Must no further turn begin?"""
        if not self.stopped and time.monotonic() >= self._ends_at:
            self.stop("time_limit")
        return bool(self.stopped) or self.resume_after is not None

    def stop(self, reason: str) -> None:
        """Ends the sweep early. Accounts that were not reached stay due. The first reason is kept."""
        with self._lock:
            self.stopped = self.stopped or reason

    def is_skipped(self, account: Account) -> bool:
        """Has this person's tenant refused the app in this sweep?"""
        return account.tenant_id in self._skipped_tenants

    def take_turn(self, account: Account) -> Turn | None:
        """Acquires one person's token. None when the sweep stopped before, the tenant is skipped or our lease was over.

        Turns are taken one at a time until an answer proves that the app's credential is good.
        """
        if self._credential_proven.is_set():
            return self._acquire(account)
        with self._one_at_a_time:
            if not self._credential_proven.is_set():
                return self._acquire(account)
        return self._acquire(account)  # it was proven while this thread waited for the lock

    def count(self, turn: Turn) -> None:
        """Counts a turn that is over."""
        self.count_as(turn.outcome.value, overdue=turn.overdue, reason=turn.verdict.code)

    def count_as(self, name: str, *, overdue: float = 0.0, reason: str = "") -> None:
        """Counts one person under this name."""
        with self._lock:
            self.counts[name] += 1
            self.reasons.update([f"{name} {reason}"] if reason else [])
            self.oldest_overdue = max(self.oldest_overdue, overdue)

    def _acquire(self, account: Account) -> Turn | None:
        """Acquires after the tenant's pauses, and learns from the answer."""
        self._wait_out_pauses()
        if self.must_stop() or self.is_skipped(account):
            return None
        turn = acquire_token(account, self.app, self.planner)
        if turn is None:
            return None
        self.app.rate_limit.learn(turn.verdict, sent=turn.sent)
        if turn.outcome is Outcome.MISCONFIGURED:
            return self._judge_refusal(turn)
        if turn.sent and turn.outcome in _PROOF:
            self._credential_proven.set()
            self._proven_tenants.add(self._tenant_of(account))
        return turn

    def _judge_refusal(self, turn: Turn) -> Turn:
        """Stops the sweep, or skips the tenant of a multi-tenant app, when an answer blames the app for everybody.

        One answer is enough when its error can only be the app's. Any other error needs a second person who gets it,
        and no answer from the same tenant that proves the app good. Until then its person is put off: one person's odd
        answer (RFC 6749, 5.2: `invalid_scope`, for what this person never granted) stops nobody else.
        """
        code, account = turn.verdict.code, turn.before
        affects = explain(code, outcome=turn.outcome).affects
        if turn.verdict.diagnosis:
            with self._lock:
                self.reasons[turn.verdict.diagnosis] += 1
        if affects == "app":
            self.stop(f"misconfigured {code}")
        elif affects == "tenant":
            if not self._blames_tenant(code, account):
                return replace(turn, after=self.app.lifecycle.put_off(turn.after, turn.verdict, self.app.now()))
            if self.app.settings.multi_tenant:
                with self._lock:
                    self._skipped_tenants.add(account.tenant_id)
                    self.reasons[f"tenant {account.tenant_id} skipped"] = 1
            else:
                self.stop(f"misconfigured {code}")
        return turn

    def _blames_tenant(self, code: str, account: Account) -> bool:
        """Is this the second person of a tenant with this code, and was no one's answer good?

        Somebody who got the code in an earlier sweep as well doesn't count: they alone may be odd, again and again.
        """
        tenant = self._tenant_of(account)
        with self._lock:
            if tenant in self._proven_tenants or (account.failure and account.failure.code == code):
                return False
            return self._suspects.setdefault((tenant, code), account.account_id) != account.account_id

    def _tenant_of(self, account: Account) -> str:
        """What an answer says something about: one tenant, where the app is in many."""
        return account.tenant_id if self.app.settings.multi_tenant else ""

    def _wait_out_pauses(self) -> None:
        """Waits while the tenant asks for a pause. Ends the sweep when the pause is too long for it."""
        while seconds := self.app.rate_limit.seconds_to_wait():
            with self._lock:
                self._waited += seconds
            if self._waited > self._longest_wait:
                self.resume_after = max(seconds, self.resume_after or 0.0)
            elif time.monotonic() + seconds >= self._ends_at:
                self.stop("the tenant throttles or fails for longer than this sweep may last")
            if self.must_stop():
                return
            self.app.wait(seconds)
