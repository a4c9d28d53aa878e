"""The whole app as its users see it: served by the local host, with the sample tenant and Azurite behind it."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import requests

from localdev.browser import Browser
from localdev.host import LocalHost
from localdev.tenant import SampleTenant
from shared.accounts import Account
from shared.services import Services, services
from shared.store import SweepRecord
from tests.support import wait_until


@dataclass
class Clock:
    """The app's clock: real time plus as much as a test has added."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        """Now."""
        return datetime.now(UTC) + self.ahead

    def latest(self) -> datetime:
        """Now: as a lease clock it is exact."""
        return self()

    def move(self, **duration: float) -> None:
        """Moves the clock: `move(minutes=10)`."""
        self.ahead += timedelta(**duration)

    def wait(self, seconds: float) -> None:
        """Waits by moving the clock, without sleeping."""
        self.move(seconds=seconds)


@dataclass
class RunningApp:
    """The running app, and what tests do with it."""

    host: LocalHost
    url: str
    tenant: SampleTenant
    clock: Clock

    @property
    def services(self) -> Services:
        """The parts of the app that is served."""
        return services()

    def browser(self, **headers: str) -> Browser:
        """A new browser, with nobody signed in."""
        return Browser(self.url, **headers)

    def sweep(self) -> SweepRecord | None:
        """Fires the timer. Returns the record of this sweep, or None when nothing was due."""
        before = self.services.store.recent_sweeps(1)
        outcome = self.host.fire("sweep")
        assert outcome.succeeded, outcome
        after = self.services.store.recent_sweeps(1)
        return after[0] if after != before else None

    def drain(self) -> None:
        """Works on the messages of `sweep_slot` until none is visible."""
        wait_until(lambda: not self.host.drain("sweep_slot"), "the queue of slots is empty", 60)

    def counts(self) -> dict[str, int]:
        """Fires the timer. Returns the number of people per outcome."""
        record = self.sweep()
        return record.counts if record else {}

    def account_of(self, username: str) -> Account | None:
        """The stored account of a person in Contoso."""
        person = next(each for each in self.tenant.people() if each["username"] == username)
        tid = self.tenant.tenant_id
        return self.services.store.get(f"{person['oids'][tid]}.{tid}")

    def accounts(self) -> list[Account]:
        """All stored accounts."""
        far = datetime(2100, 1, 1, tzinfo=UTC)
        slots = (slot.name for slot in self.services.store.slots())
        return [account for slot in slots for page in self.services.store.due(slot, far) for account in page]


def text_of(response: requests.Response) -> str:
    """The text of a page without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.text).split())
