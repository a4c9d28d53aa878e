"""Every change of an account: at a sign-in, at a request, after a turn in a sweep. Pure functions of time.

README's table of outcomes says what each outcome does. Only `sign_in_required` sets an account aside.
"""

import random
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shared.accounts.model import EPOCH, SLOTS, Account, Attempt, Failure, Person, Source, State
from shared.accounts.outcomes import Outcome, Verdict

_RECENT = 10
_FIRST_VERSIONS = 1 << 30  # leaves room to count within 32 bits
_FIRST_BACKOFF = timedelta(minutes=1)
_LONGEST_RETRY_AFTER = timedelta(hours=1)
_LATEST = datetime.max.replace(tzinfo=UTC)
_ACTIVITY_WRITES = 5  # at most so many per ABSENT_AFTER


@dataclass(frozen=True)
class Lifecycle:
    """Changes accounts, by the durations of the settings.

    Attributes:
        every: how often each person is swept.
        absent_after: a person counts as away after so long without a request.
        retention: a row without a usable token is deleted after this.
        chance: returns a number in [0, 1), for jitter.
    """

    every: timedelta
    absent_after: timedelta
    retention: timedelta
    chance: Callable[[], float] = random.random

    @property
    def activity_interval(self) -> timedelta:
        """A request writes `last_activity` when the stored one is older than this."""
        return self.absent_after / _ACTIVITY_WRITES

    def absent_from(self, last_activity: datetime) -> datetime:
        """When a person counts as away, by their last recorded request.

        Requests within `activity_interval` of it are not recorded, so that interval is added.
        """
        return last_activity + self.absent_after + self.activity_interval

    def enrol(
        self,
        known: Account | None,
        person: Person,
        *,
        scopes: Iterable[str],
        sealed_cache: bytes,
        token_expires_at: datetime | None,
        now: datetime,
        source: Source = Source.SIGN_IN,
    ) -> Account:
        """The account after a sign-in: active, without a failure, with the new cache. Sessions, `extra` and the tasks'
        state stay.

        Args:
            known: the stored account; None for a new one.
        """
        base = known or Account(
            account_id=person.account_id,
            enrolment_id=secrets.token_hex(8),
            session_generation=secrets.token_urlsafe(16),
            cache_version=secrets.randbelow(_FIRST_VERSIONS),
        )
        enrolled = replace(
            base,
            enrolment_id=base.enrolment_id or secrets.token_hex(8),
            username=person.username,
            tenant_id=person.tenant_id,
            object_id=person.object_id,
            home_account_id=person.home_account_id,
            source=source,
            state=State.ACTIVE,
            failure=None,
            last_activity=now,
            token_expires_at=token_expires_at,
            scopes=tuple(scopes),
            sealed_cache=sealed_cache,
            cache_version=base.cache_version + 1,
            lease=None,
        )
        return replace(enrolled, due_at=self.due_at(enrolled))

    def keep_at(self, account: Account) -> datetime:
        """When a sweep must next keep an active person's token alive: when they are away, once per interval."""
        away, swept = self.absent_from(account.last_activity), account.last_swept_at
        if swept is None or swept <= account.last_activity:
            return away
        return max(away, self.next_turn(account.slot, swept))

    def due_at(self, account: Account) -> datetime:
        """When an active person without a failure is due: at the earliest of their tasks and of keeping their token."""
        task_at, keep_at = account.earliest_task, self.keep_at(account)
        return keep_at if task_at is None else min(task_at, keep_at)

    def is_kept(self, account: Account, now: datetime) -> bool:
        """Does this turn keep the token alive? Not one that only a task with a schedule asked for."""
        if account.earliest_task is None or now < account.earliest_task:
            return True
        latest = account.recent[0].outcome if account.recent else None
        in_trouble = account.failure is not None and latest is not Outcome.TASK_FAILED
        return in_trouble or self.keep_at(account) <= now

    def note_presence(self, account: Account, now: datetime) -> Account:
        """The account after a request of its person: an active one is due once they count as away, or for a task. It is
        due no earlier than before."""
        seen = replace(account, last_activity=now)
        if account.state is not State.ACTIVE:
            return seen
        return replace(seen, due_at=max(account.due_at, self.due_at(seen)))

    def is_stale(self, account: Account, now: datetime) -> bool:
        """Is the recorded activity so old that a request must write a new one?"""
        return now - account.last_activity >= self.activity_interval

    def is_past_retention(self, account: Account, now: datetime) -> bool:
        """Has this row been without a usable token for longer than RETENTION?"""
        return account.state is not State.ACTIVE and now >= self._retention_ends(account)

    def defer_until_retention(self, account: Account) -> Account:
        """The account, due next when its retention ends: nothing can be done for it before."""
        return replace(account, due_at=self._retention_ends(account))

    def apply_verdict(self, account: Account, verdict: Verdict, now: datetime, *, swept: bool = True) -> Account:
        """The account after a silent acquisition ended with `verdict`, in a sweep or (`swept=False`) for a request.

        `misconfigured` and `conflict` say nothing about the person and change nothing. An account that needs a sign-in
        is due at once until its notification was sent (timer_worker/notifications.py). After a fault, jitter spreads
        the next tries.
        """
        if verdict.outcome in (Outcome.MISCONFIGURED, Outcome.CONFLICT):
            return account
        if swept:
            attempts = (Attempt(now, verdict.outcome), *account.recent)[:_RECENT]
            account = replace(account, recent=attempts, last_swept_at=now)
        if verdict.outcome in (Outcome.FRESH, Outcome.CACHED):
            good = replace(
                account,
                state=State.ACTIVE,
                failure=None,
                token_expires_at=verdict.token_expires_at or account.token_expires_at,
            )
            return replace(good, due_at=self.due_at(good)) if swept else good
        failure = _failure(account.failure, verdict, now)
        state, due_at = State.ACTIVE, now + self.every
        if verdict.outcome is Outcome.SIGN_IN_REQUIRED:
            state = State.NEEDS_SIGN_IN
            due_at = failure.first_at + self.retention if failure.notified_at else now
        elif verdict.outcome is Outcome.UNREADABLE:
            state = State.UNREADABLE
        elif verdict.outcome is Outcome.THROTTLED and verdict.retry_after is not None:
            asked = min(timedelta(seconds=max(verdict.retry_after, 1)), _LONGEST_RETRY_AFTER)
            due_at = now + asked * (1 + self.chance() / 4)
        elif verdict.outcome in (Outcome.THROTTLED, Outcome.UNAVAILABLE):
            doublings = min(failure.count - 1, 16)
            backoff = min(_FIRST_BACKOFF * (1 << doublings), self.every)
            due_at = now + backoff * (0.75 + self.chance() / 2)
        return replace(account, state=state, due_at=due_at, failure=failure)

    def put_off(self, account: Account, verdict: Verdict, now: datetime) -> Account:
        """The account after an answer that blames the app and that nobody else got: it is tried again later, as after a
        fault, and its failure tells the operator the code."""
        return self.apply_verdict(account, replace(verdict, outcome=Outcome.UNAVAILABLE), now)

    def apply_task_failure(
        self, account: Account, code: str, now: datetime, *, before: Failure | None = None
    ) -> Account:
        """The account after its token was saved and one of its tasks failed. The task runs again at the next turn.

        Args:
            before: the account's failure when the turn began. The token has cleared it; the task may fail as before.
        """
        verdict = Verdict(Outcome.TASK_FAILED, code=code)
        attempts = (Attempt(now, Outcome.TASK_FAILED), *account.recent[1:])
        return replace(account, recent=attempts, failure=_failure(before, verdict, now))

    def next_turn(self, slot: str, now: datetime) -> datetime:
        """The slot's next moment after `now`. Each slot has its own moment in the interval, which spreads the load."""
        offset = self.every * int(slot, 16) / SLOTS
        passed = (now - EPOCH - offset) % self.every
        return now + self.every - passed

    def _retention_ends(self, account: Account) -> datetime:
        since = account.failure.first_at if account.failure else account.last_activity
        return min(since, _LATEST - self.retention) + self.retention


def _failure(before: Failure | None, verdict: Verdict, now: datetime) -> Failure:
    """The failure of this verdict. With the same code as the last one, it continues that one."""
    again = before if before and before.code == verdict.code else None
    return Failure(
        code=verdict.code,
        suberror=verdict.suberror,
        correlation_id=verdict.correlation_id,
        first_at=again.first_at if again else now,
        last_at=now,
        count=again.count + 1 if again else 1,
        notified_at=again.notified_at if again else None,
        claims=verdict.claims,
    )
