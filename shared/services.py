"""Everything that is made once per process, lazily, in one place. Nothing is made at import."""

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import cached_property

from azure.data.tables import TableServiceClient

from shared import log_redaction
from shared.accounts.lifecycle import Lifecycle
from shared.background import checks, first_edition
from shared.background.planner import Planner
from shared.background.threads import TaskThreads
from shared.clients.graph import Graph
from shared.clients.http import HttpClient
from shared.clients.queues import Queues
from shared.clients.storage import queue_service, table_service
from shared.clock import LeaseClock, StorageClock, utc_now
from shared.identity import Identity
from shared.identity.access import PATIENCE_SECONDS, Access
from shared.identity.enrolment import Enrolment
from shared.identity.rate_limit import RateLimit
from shared.identity.unsaved_tokens import UnsavedTokens
from shared.monitoring.census import Census
from shared.monitoring.readiness import Readiness, closed_to_operators, thread_shortage
from shared.session import Sessions, UsedFlows
from shared.settings import Settings, from_environment
from shared.store import AccountStore, TableAccountStore
from shared.store.markers import MarkerStore
from shared.store.tables.markers import TableMarkers
from tasks import TASKS

logger = logging.getLogger(__name__)


class Services:
    """The app's parts, each made when it is first asked for, unless it was given.

    Attributes:
        tasks: the background work that is done in people's names.
        now: the time.
        lease_clock: the time by which leases and claims are written and judged; the storage service's, if none is
            given.
        wait: sleeps for so many seconds.
        closing: is set when the app ends: sweeps begin no further turn then, and give their slots back.
        slot_runs: the slots that are being swept.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tasks: Iterable[first_edition.AnyTask] = TASKS,
        now: Callable[[], datetime] = utc_now,
        lease_clock: LeaseClock | None = None,
        wait: Callable[[float], None] = time.sleep,
        store: AccountStore | None = None,
        markers: MarkerStore | None = None,
        tables: TableServiceClient | None = None,
        http: HttpClient | None = None,
        rate_limit: RateLimit | None = None,
        used_flows: UsedFlows | None = None,
    ) -> None:
        self.settings = settings
        self.tasks = first_edition.adapted(tasks)
        self.now = now
        self.storage_clock = StorageClock()
        self.lease_clock = lease_clock or self.storage_clock
        self.wait = wait
        self.closing = threading.Event()
        self.slot_runs: set[Future[None]] = set()
        given = {
            "store": store,
            "markers": markers,
            "tables": tables,
            "http": http,
            "rate_limit": rate_limit,
            "used_flows": used_flows,
        }
        # A cached_property looks for its value here first.
        vars(self).update({name: part for name, part in given.items() if part is not None})

    def close(self) -> None:
        """Ends sweeps, once the turns that began are saved, then threads and connections.

        A Functions process never does; tests and tools do."""
        self.closing.set()
        futures.wait(self.slot_runs)
        made = vars(self)
        if "workers" in made:
            self.workers.shutdown()
        for name in ("task_threads", "unsaved_tokens", "readiness", "http", "tables", "queues"):
            if name in made:
                made[name].close()

    @cached_property
    def http(self) -> HttpClient:
        """One connection pool for MSAL and Graph."""
        bundle = self.settings.ca_bundle or self.settings.ssl_cert_file
        return HttpClient(ca_bundle=bundle, pool_size=self.settings.sweep_concurrency)

    @cached_property
    def store(self) -> AccountStore:
        """Accounts in Azure Table Storage."""
        return TableAccountStore(self.tables)

    @cached_property
    def markers(self) -> MarkerStore:
        """What tasks did, and must not do twice."""
        return TableMarkers(self.tables)

    @cached_property
    def tables(self) -> TableServiceClient:
        """The storage account's table service."""
        return table_service(self.settings, self.storage_clock)

    @cached_property
    def queues(self) -> Queues:
        """The queues beside the Functions host's own."""
        return Queues(queue_service(self.settings))

    @cached_property
    def identity(self) -> Identity:
        """MSAL."""
        return Identity(self.settings, self.http, now=self.now)

    @cached_property
    def lifecycle(self) -> Lifecycle:
        """What happens to accounts."""
        return Lifecycle(self.settings.sweep_every, self.settings.absent_after, self.settings.retention)

    @cached_property
    def planner(self) -> Planner:
        """Which tasks run for a person, and when."""
        return self.planner_of(self.tasks)

    def planner_of(self, tasks: Iterable[first_edition.AnyTask]) -> Planner:
        """A planner of these tasks."""
        return Planner(first_edition.adapted(tasks), self.lifecycle, self.settings.time_zone)

    @cached_property
    def sessions(self) -> Sessions:
        """Cookies."""
        return Sessions(self.settings, now=self.now)

    @cached_property
    def used_flows(self) -> UsedFlows:
        """The sign-ins that came back to this process."""
        return UsedFlows()

    @cached_property
    def access(self) -> Access:
        """Tokens for people who are here."""
        patience = PATIENCE_SECONDS if self.settings.strict_rotation else ()
        return Access(
            self.store,
            self.identity,
            self.lifecycle,
            now=self.now,
            lease_clock=self.lease_clock,
            wait=self.wait,
            patience=patience,
            unsaved=self.unsaved_tokens,
        )

    @cached_property
    def unsaved_tokens(self) -> UnsavedTokens:
        """Redeemed refresh tokens that are not stored yet."""
        return UnsavedTokens(self.store, enabled=self.settings.strict_rotation)

    @cached_property
    def enrolment(self) -> Enrolment:
        """Accounts of people who sign in."""
        return Enrolment(
            self.store,
            self.settings.key_ring,
            self.lifecycle,
            now=self.now,
            plan=lambda each: self.planner.plan(each, self.now()),
        )

    @cached_property
    def readiness(self) -> Readiness:
        """Whether what this instance depends on answers."""
        return Readiness(self.settings, self.store, self.http, self.identity.authority.discovery_url, now=self.now)

    @cached_property
    def census(self) -> Census:
        """Counts of everybody, for operators."""
        return Census(self.store)

    @cached_property
    def rate_limit(self) -> RateLimit:
        """How fast the token endpoint may be asked for people who are away."""
        return RateLimit()

    @cached_property
    def workers(self) -> ThreadPoolExecutor:
        """The threads in which all sweeps of this process acquire tokens."""
        return ThreadPoolExecutor(self.settings.sweep_concurrency, thread_name_prefix="sweep")

    @cached_property
    def task_threads(self) -> TaskThreads:
        """The threads that tasks run in."""
        return TaskThreads(self.settings.sweep_concurrency)

    def graph(self, access_token: str, *, until: datetime | None = None) -> Graph:
        """Microsoft Graph for one person. No call lasts longer than `until`."""
        return Graph(self.http, self.settings.graph_url, access_token, until=until, now=self.now)


@functools.cache
def services() -> Services:
    """The process's parts, by its environment. No secret of theirs reaches a log from now on. Raises SettingsError,
    which says what is wrong with the tasks as well."""
    tasks = first_edition.adapted(TASKS)
    settings = from_environment(
        of_tasks=[name for task in tasks for name in task.settings], problems=checks.problems(tasks)
    )
    log_redaction.install(settings)
    if shortage := thread_shortage(settings):
        logger.warning(shortage)
    if closed := closed_to_operators(settings):
        logger.warning("operators' pages are closed: %s", closed)
    return Services(settings)
