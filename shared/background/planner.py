"""Decides which tasks run for a person, and when. Pure functions of time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from shared.accounts import Account, Choice, State, TaskFailure, TaskStatus
from shared.accounts.lifecycle import Lifecycle
from shared.background.schedules import Occurrence, zone_of
from shared.background.tasks import Task

RETRIES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
WAITS_FOR_CONSENT = "consent"
_GRAPH_HOSTS = (
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "microsoftgraph.chinacloudapi.cn",
)


@dataclass(frozen=True)
class Planner:
    """Plans the tasks of accounts.

    Attributes:
        zone: the time zone of people who chose none.
    """

    tasks: Sequence[Task]
    lifecycle: Lifecycle
    zone: str = "UTC"

    def plan(self, account: Account, now: datetime) -> Account:
        """The account with a time for each task that has a schedule and can run, and without one for all others. An
        active account without a failure is due accordingly.

        To be called whenever the tasks, the person's choices or their permissions may have changed.
        """
        statuses = {name: replace(status, next_at=None) for name, status in account.tasks.items()}
        for task in self.tasks:
            known = account.tasks.get(task.name, TaskStatus())
            planned = self._planned(task, known, account, now)
            if planned != TaskStatus():
                statuses[task.name] = planned
        after = replace(account, tasks=statuses)
        if account.state is State.ACTIVE and account.failure is None:
            return replace(after, due_at=self.lifecycle.due_at(after))
        return after

    def choose(self, account: Account, task: Task, choice: Choice, now: datetime) -> Account:
        """The account after its person turned a task on or off, or paused it."""
        status = replace(account.tasks.get(task.name, TaskStatus()), choice=choice, next_at=None, tries=0)
        return self.plan(replace(account, tasks=account.tasks | {task.name: status}), now)

    def due(self, account: Account, now: datetime, *, kept: bool) -> list[Task]:
        """The tasks that run in this turn of a person.

        Args:
            account: as planned.
            kept: does this turn keep the token alive? Tasks without a schedule run then.
        """
        ready = []
        for task in self.tasks:
            status = account.tasks.get(task.name, TaskStatus())
            if task.schedule is None:
                if kept and _is_on(task, status) and not status.waiting:
                    ready.append(task)
            elif status.next_at is not None and status.next_at <= now:
                ready.append(task)
        return ready

    def begin(self, task: Task, account: Account, now: datetime) -> TaskStatus:
        """The status of a task whose turn has come. Of several occurrences that were missed, the last one is run."""
        status = account.tasks.get(task.name, TaskStatus())
        zone = self.zone_of(account)
        if task.schedule is None:
            return replace(status, occurrence=now, date=now.astimezone(zone).date().isoformat())
        latest = task.schedule.latest(now, account.account_id, zone)
        if status.occurrence is None or (latest.at > status.occurrence and not _repeats(task, latest, status)):
            status = replace(status, occurrence=latest.at, date=latest.date, tries=0)
        return status

    def succeed(self, task: Task, status: TaskStatus, account: Account, now: datetime, *, record: str) -> Account:
        """The account after a run that came to its end.

        Args:
            status: as it was when the run began.
        """
        done = replace(status, tries=0, done=status.date, last_at=now, last_record=record, failure=None)
        return self._settle(task, self._at_next(task, done, account, now), account)

    def fail(
        self,
        task: Task,
        status: TaskStatus,
        account: Account,
        now: datetime,
        *,
        reason: str,
        after: float = 0.0,
        final: bool = False,
    ) -> Account:
        """The account after a run that failed. It is tried again after 1, 5 and 15 minutes, unless the next occurrence
        comes first, and not before `after` seconds; with `final`, at the next occurrence."""
        last = status.failure
        again = last if last and last.reason == reason else None
        failure = TaskFailure(reason, again.first_at if again else now, now, again.count + 1 if again else 1)
        failed = replace(status, failure=failure, tries=status.tries + 1)
        following = self._at_next(task, replace(failed, tries=0, done=status.date), account, now)
        next_at = following.next_at
        if next_at is not None:
            not_before = now + timedelta(seconds=after)
            again_at = max(now + RETRIES[min(status.tries, len(RETRIES) - 1)], not_before)
            if not final and status.tries < len(RETRIES) and again_at < next_at:
                following = replace(failed, next_at=again_at)
            else:
                following = replace(following, next_at=max(next_at, not_before))
        return self._settle(task, following, account)

    def zone_of(self, account: Account) -> ZoneInfo:
        """The person's time zone."""
        return zone_of(account.time_zone or self.zone) or ZoneInfo("UTC")

    def today(self, status: TaskStatus, now: datetime) -> date:
        """The local date of the occurrence that is run."""
        return date.fromisoformat(status.date) if status.date else now.astimezone(UTC).date()

    def occurrence_key(self, task: Task, status: TaskStatus) -> str:
        """What all tries of a run have in common: the local date, or the time. "" for a task without a schedule."""
        if task.schedule is None or status.occurrence is None:
            return ""
        return status.date if task.schedule.is_once_per_date else status.occurrence.isoformat()

    def _settle(self, task: Task, status: TaskStatus, account: Account) -> Account:
        """The account, whose token is good, with this status and due accordingly."""
        after = replace(account, tasks=account.tasks | {task.name: status})
        return replace(after, due_at=self.lifecycle.due_at(after))

    def _planned(self, task: Task, status: TaskStatus, account: Account, now: datetime) -> TaskStatus:
        if not _is_on(task, status):
            return replace(status, next_at=None, waiting="")
        if missing_scopes(task.scopes, account.scopes):
            return replace(status, next_at=None, waiting=WAITS_FOR_CONSENT)
        allowed = replace(status, waiting="")
        if task.schedule is None:
            return replace(allowed, next_at=None)
        return allowed if allowed.next_at else self._at_next(task, allowed, account, now)

    def _at_next(self, task: Task, status: TaskStatus, account: Account, now: datetime) -> TaskStatus:
        """The status, to be run at the next occurrence. A local date never has two, in whatever time zone."""
        if task.schedule is None:
            return replace(status, next_at=None)
        zone = self.zone_of(account)
        found = task.schedule.next(now, account.account_id, zone)
        while _repeats(task, found, status):
            found = task.schedule.next(found.due_at, account.account_id, zone)
        return replace(status, next_at=found.due_at, occurrence=found.at, date=found.date)


def missing_scopes(wanted: Iterable[str], granted: Iterable[str]) -> list[str]:
    """Those of the wanted permissions that are not among the granted ones. Each belongs to a resource: `User.Read` is
    Microsoft Graph's, and never another API's."""
    known = {_full_name(scope) for scope in granted}
    return [scope for scope in wanted if _full_name(scope) not in known]


def _full_name(scope: str) -> str:
    """A permission in lower case; without the resource if that is Graph in any cloud, which is the default ("Scopes and
    permissions in the Microsoft identity platform"; "National cloud deployments")."""
    resource, _, name = scope.lower().rpartition("/")
    host = urlsplit(resource).hostname or ""
    is_graph = host in _GRAPH_HOSTS and resource.startswith("https://")
    return name if is_graph else scope.lower()


def _is_on(task: Task, status: TaskStatus) -> bool:
    return status.choice is Choice.ON or (status.choice is Choice.UNDECIDED and task.default == "on")


def _repeats(task: Task, found: Occurrence, status: TaskStatus) -> bool:
    """Had this person's task an occurrence with this local date, or a later one?"""
    return task.schedule is not None and task.schedule.is_once_per_date and found.date <= status.done
