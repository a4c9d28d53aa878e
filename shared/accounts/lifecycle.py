"""What happens to an account when its person signs in, is here, or has had a turn in a sweep. Pure functions of time.

The table of outcomes is DESIGN's §6; `needs_sign_in` is set in one place only, by the outcome `sign_in_required`.
"""

import random
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.accounts.model import EPOCH, SLOTS, Account, Attempt, Failure, Person, Source, State
from shared.accounts.outcomes import Outcome, Verdict
from shared.settings import Settings

_RECENT = 10
_FIRST_VERSIONS = 1 << 30  # a table's Int32, with room to count
_FIRST_BACKOFF = timedelta(minutes=1)
_LONGEST_RETRY_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Lifecycle:
    """The times by which accounts move from state to state.

    Attributes:
        every: how often one person is swept.
        absent_after: a person who did nothing for so long counts as away.
        retention: a row without a usable token is deleted after this.
        chance: a number in [0, 1), for jitter.
    """

    every: timedelta
    absent_after: timedelta
    retention: timedelta
    chance: Callable[[], float] = random.random

    @classmethod
    def of(cls, settings: Settings) -> "Lifecycle":
        """By the settings."""
        return cls(settings.sweep_every, settings.absent_after, settings.retention)

    def signed_in(
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
        """The account after a sign-in: active, failure cleared, new cache; what is theirs (`extra`, sessions) stays."""
        base = known or Account(
            account_id=person.account_id,
            session_generation=secrets.token_urlsafe(16),
            cache_version=secrets.randbelow(_FIRST_VERSIONS),
        )
        return replace(
            base,
            username=person.username,
            tenant_id=person.tenant_id,
            object_id=person.object_id,
            home_account_id=person.home_account_id,
            source=source,
            state=State.ACTIVE,
            failure=None,
            due_at=now + self.absent_after,
            last_activity=now,
            token_expires_at=token_expires_at,
            scopes=tuple(scopes),
            sealed_cache=sealed_cache,
            cache_version=base.cache_version + 1,
            lease=None,
        )

    def present(self, account: Account, now: datetime) -> Account:
        """The account of an active person who is here: they are not swept until they have been away."""
        if account.state is not State.ACTIVE:
            return replace(account, last_activity=now)
        return replace(account, last_activity=now, due_at=now + self.absent_after)

    def is_stale(self, account: Account, now: datetime) -> bool:
        """Is the recorded activity so old that a request must write a new one?"""
        return now - account.last_activity >= self.absent_after

    def is_over(self, account: Account, now: datetime) -> bool:
        """Has this row been without a usable token for longer than RETENTION?"""
        since = account.failure.first_at if account.failure else account.last_activity
        return account.state is not State.ACTIVE and now - since >= self.retention

    def put_off(self, account: Account) -> Account:
        """A row that is due although its retention is not over (the setting was raised): due when it is."""
        since = account.failure.first_at if account.failure else account.last_activity
        return replace(account, due_at=since + self.retention)

    def judged(self, account: Account, verdict: Verdict, now: datetime, *, swept: bool = True) -> Account:
        """The account after a silent acquisition ended with `verdict`, in a sweep or (`swept=False`) for a request.

        `misconfigured` and `conflict` leave it untouched: nothing was learnt about the person.
        """
        if verdict.outcome in (Outcome.MISCONFIGURED, Outcome.CONFLICT):
            return account
        if swept:
            attempts = (Attempt(now, verdict.outcome), *account.recent)[:_RECENT]
            account = replace(account, recent=attempts, last_swept_at=now)
        if verdict.outcome in (Outcome.FRESH, Outcome.CACHED):
            return self._looked_after(account, verdict, now, swept=swept)
        return self._failed(account, verdict, now)

    def task_failed(self, account: Account, code: str, now: datetime, *, before: Failure | None = None) -> Account:
        """The account after its token was saved and one of its tasks failed; it is retried at the next turn.

        Args:
            before: the failure with which the turn began: the good token has cleared it, the task may fail as before.
        """
        verdict = Verdict(Outcome.TASK_FAILED, code=code)
        attempts = (Attempt(now, Outcome.TASK_FAILED), *account.recent[1:])
        return replace(account, recent=attempts, failure=self._failure(before, verdict, now))

    def next_turn(self, slot: str, now: datetime) -> datetime:
        """The first moment after `now` that is this slot's place in the interval, so that load is spread evenly."""
        offset = self.every * int(slot, 16) / SLOTS
        passed = (now - EPOCH - offset) % self.every
        return now + self.every - passed

    def _looked_after(self, account: Account, verdict: Verdict, now: datetime, *, swept: bool) -> Account:
        return replace(
            account,
            state=State.ACTIVE,
            failure=None,
            token_expires_at=verdict.token_expires_at or account.token_expires_at,
            due_at=self.next_turn(account.slot, now) if swept else account.due_at,
        )

    def _failed(self, account: Account, verdict: Verdict, now: datetime) -> Account:
        failure = self._failure(account.failure, verdict, now)
        state, due_at = State.ACTIVE, now + self.every
        if verdict.outcome is Outcome.SIGN_IN_REQUIRED:
            state = State.NEEDS_SIGN_IN  # due at once until they were told: see notifications.py
            due_at = failure.first_at + self.retention if failure.notified_at else now
        elif verdict.outcome is Outcome.UNREADABLE:
            state = State.UNREADABLE
        elif verdict.outcome is Outcome.THROTTLED:
            due_at = now + self._wait(verdict.retry_after, failure.count)
        elif verdict.outcome is Outcome.UNAVAILABLE:
            due_at = now + self._wait(None, failure.count)
        return replace(account, state=state, due_at=due_at, failure=failure)

    @staticmethod
    def _failure(before: Failure | None, verdict: Verdict, now: datetime) -> Failure:
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

    def _wait(self, retry_after: float | None, count: int) -> timedelta:
        if retry_after is not None:
            return min(timedelta(seconds=max(retry_after, 1)), _LONGEST_RETRY_AFTER) * (1 + self.chance() / 4)
        doublings = min(count - 1, 16)
        backoff = min(_FIRST_BACKOFF * (1 << doublings), self.every)
        return backoff * (0.75 + self.chance() / 2)
