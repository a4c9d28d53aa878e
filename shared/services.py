"""Everything that is made once a process, lazily, in one place. Nothing is made at import."""

import functools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property

from azure.data.tables import TableServiceClient

from shared import redaction
from shared.access import PATIENCE_SECONDS, Access
from shared.accounts import utc_now
from shared.graph import Graph
from shared.health import Health, thread_shortage
from shared.identity import Identity
from shared.lifecycle import Lifecycle
from shared.pace import Pace
from shared.queues import Queues
from shared.session import Sessions
from shared.settings import Settings, from_environment
from shared.storage_account import queue_service, table_service
from shared.store import AccountStore, TableAccountStore
from shared.transport import HttpClient

logger = logging.getLogger(__name__)


class Services:
    """The app's parts, each made when it is first asked for.

    Attributes:
        now: the time.
        wait: sleeps for so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime] = utc_now,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.now = now
        self.wait = wait

    def close(self) -> None:
        """Ends threads and connections. A Functions process never does; tests and tools do."""
        for name in ("health", "workers", "http", "tables", "queues"):
            part = self.__dict__.get(name)
            if name == "workers" and part:
                part.shutdown()
            elif part:
                part.close()

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
    def tables(self) -> TableServiceClient:
        """The storage account's table service."""
        return table_service(self.settings)

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
        return Lifecycle.of(self.settings)

    @cached_property
    def sessions(self) -> Sessions:
        """Cookies."""
        return Sessions(self.settings, now=self.now)

    @cached_property
    def access(self) -> Access:
        """Tokens for people who are here."""
        patience = PATIENCE_SECONDS if self.settings.strict_rotation else ()
        return Access(
            self.store,
            self.identity,
            self.settings.key_ring,
            self.lifecycle,
            now=self.now,
            wait=self.wait,
            patience=patience,
        )

    @cached_property
    def health(self) -> Health:
        """Whether what this instance depends on answers."""
        return Health(self.settings, self.store, self.http, self.identity.discovery_url, now=self.now)

    @cached_property
    def pace(self) -> Pace:
        """How fast the token endpoint may be asked for people who are away."""
        return Pace()

    @cached_property
    def workers(self) -> ThreadPoolExecutor:
        """The threads of all sweeps in this process."""
        return ThreadPoolExecutor(self.settings.sweep_concurrency, thread_name_prefix="sweep")

    def graph(self, access_token: str, *, until: datetime | None = None) -> Graph:
        """Microsoft Graph for one person."""
        return Graph(self.http, self.settings.graph_url, access_token, until=until, now=self.now)


@functools.cache
def services() -> Services:
    """The process's parts, by its environment. Before it gives any: no secret of theirs is logged from now on. Raises
    SettingsError."""
    settings = from_environment()
    redaction.install(settings)
    if shortage := thread_shortage(settings):
        logger.warning(shortage)
    return Services(settings)
