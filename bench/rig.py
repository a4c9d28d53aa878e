"""The set-up of the benchmarks: Azurite, the token endpoint, and the app's parts with their storage calls counted."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.request import getproxies

from bench import tokens
from bench.far_end import FarEnd
from bench.storage_calls import StorageCalls
from localdev.azurite import Azurite
from shared.accounts import EPOCH, SLOTS
from shared.sealing import new_key
from shared.services import Services
from shared.settings import load

SWEEP_EVERY = timedelta(hours=1)
_LOCAL = "localhost,127.0.0.1"


@dataclass
class Clock:
    """The app's clock: real time plus what it was moved by."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        """Now."""
        return datetime.now(UTC) + self.ahead

    def move(self, duration: timedelta) -> None:
        """Moves the clock forward."""
        self.ahead += duration


@dataclass(frozen=True)
class Rig:
    """Everything a benchmark needs.

    Attributes:
        environment: the app's settings.
    """

    azurite: Azurite
    far_end: FarEnd
    environment: Mapping[str, str]
    clock: Clock
    calls: StorageCalls
    services: Services

    @contextmanager
    def other_services(self, **changes: str) -> Iterator[Services]:
        """The same app with other settings; "" removes one."""
        services = _services({**self.environment, **changes}, self.clock, self.calls, self.azurite)
        try:
            yield services
        finally:
            services.close()

    def settle(self) -> None:
        """Moves the clock just behind a slot's moment (`Lifecycle.next_turn`). So whoever is swept now is not due again
        for nearly four minutes."""
        between = SWEEP_EVERY / SLOTS
        self.clock.move(between - (self.clock() - EPOCH) % between + timedelta(seconds=1))

    def make_everybody_due(self) -> None:
        """Moves the clock by an interval, so that all who were swept, or signed in, are due again."""
        self.clock.move(SWEEP_EVERY + timedelta(minutes=1))


@contextmanager
def start_rig(**changes: str) -> Iterator[Rig]:
    """Starts everything with empty storage, and ends it afterwards.

    Args:
        changes: settings of the app that replace the usual ones.
    """
    with Azurite() as azurite, FarEnd() as far_end, clean_environment(far_end.ca_bundle):
        environment = {**_environment(azurite, far_end), **changes}
        clock, calls = Clock(), StorageCalls()
        services = _services(environment, clock, calls, azurite)
        try:
            yield Rig(azurite, far_end, environment, clock, calls, services)
        finally:
            services.close()


@contextmanager
def clean_environment(ca_bundle: str) -> Iterator[None]:
    """Sets the CA bundle for `requests`, MSAL's default client, which the environment overrides in any case; and keeps
    proxies away from this machine's own addresses."""
    wanted = {"REQUESTS_CA_BUNDLE": ca_bundle}
    if getproxies():
        wanted |= {"NO_PROXY": _LOCAL, "no_proxy": _LOCAL}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _environment(azurite: Azurite, far_end: FarEnd) -> dict[str, str]:
    return {
        "CLIENT_ID": tokens.CLIENT_ID,
        "CLIENT_SECRET": "not-looked-at",
        "AUTHORITY": far_end.authority,
        "GRAPH_URL": far_end.url,
        "SCOPES": "User.Read",
        "BASE_URL": "http://localhost:7071",
        "AzureWebJobsStorage": azurite.connection_string,
        "ENCRYPTION_KEYS": new_key("k1"),
        "SWEEP_EVERY": f"{SWEEP_EVERY.seconds // 60}m",
        "SWEEP_SCHEDULE": "0 0 0 1 1 *",  # never by itself
        "REQUESTS_CA_BUNDLE": far_end.ca_bundle,
        "AzureWebJobsDisableHomepage": "true",
    }


def _services(environment: Mapping[str, str], clock: Clock, calls: StorageCalls, azurite: Azurite) -> Services:
    services = Services(load(environment), now=clock)
    services.tables = calls.counted(azurite.connection_string, services.storage_clock)
    return services
