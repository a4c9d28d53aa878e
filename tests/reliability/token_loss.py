"""How many sign-ins strict rotation costs under a bad storage: `python -m tests.reliability.token_loss`.

Two hosts sweep forty people in turn, an hour per round, on one storage in memory. One write in ten fails, half of these
after they were done. One write in twenty begins an outage of up to two minutes. Before one write in five the person of
the row comes by. Time is a number: waiting moves it. The tenant is the sample tenant with strict rotation; what it
revokes is counted, and whoever was revoked signs in again.
"""

import argparse
import logging
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from localdev.tenant import SampleTenant
from shared.accounts import Account, State
from shared.clients.queues import Queues
from shared.errors import StoreError, StoreUnavailable
from shared.identity.rate_limit import RateLimit
from shared.identity.unsaved_tokens import UnsavedTokens
from shared.sealing import new_key
from shared.services import Services
from shared.settings import load
from shared.store import AccountStore, MemoryAccountStore
from shared.sweep_queue import due_slots
from tests.reliability.crowd import enrol
from tests.running_app import Clock
from timer_worker.sweep import Sweep

PEOPLE = 40
TICK_SECONDS, RETRY_SECONDS = 300, 5


class BadStorage:
    """An account store whose writes fail at random. Reads fail in an outage only."""

    def __init__(self, store: AccountStore, chance: random.Random, clock: Clock) -> None:
        self._store = store
        self._chance = chance
        self._clock = clock
        self._back_at = clock()
        self.good = True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._store, name)

        def call(*args: Any, **options: Any) -> Any:
            self._fail_in_an_outage()
            return method(*args, **options)

        return call

    def save(self, account: Account) -> Account:
        """Saves, or fails."""
        return self._write(self._store.save, account)

    def touch(self, account: Account) -> Account:
        """Touches, or fails."""
        return self._write(self._store.touch, account)

    def save_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """Saves, or fails, one by one."""
        return [self._result_of(self.save, each) for each in accounts]

    def touch_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """Touches, or fails, one by one."""
        return [self._result_of(self.touch, each) for each in accounts]

    def _write(self, write: Callable[[Account], Account], account: Account) -> Account:
        if self.good:
            return write(account)
        if self._chance.random() < 0.05 and self._clock() >= self._back_at:
            self._back_at = self._clock() + timedelta(seconds=self._chance.uniform(1, 120))
        self._fail_in_an_outage()
        known = self._store.get(account.account_id)
        if known and self._chance.random() < 0.2:
            self._store.touch(replace(known, last_activity=known.last_activity + timedelta(milliseconds=1)))
        fails = self._chance.random()
        if fails < 0.05:
            raise StoreUnavailable("write accounts", 503)
        saved = write(account)
        if fails < 0.1:
            raise StoreUnavailable("write accounts", None, "the answer is lost")
        return saved

    def _fail_in_an_outage(self) -> None:
        if not self.good and self._clock() < self._back_at:
            raise StoreUnavailable("write accounts", 503)

    @staticmethod
    def _result_of(write: Callable[[Account], Account], account: Account) -> Account | StoreError:
        try:
            return write(account)
        except StoreError as error:
            return error


class NoQueues:
    """Takes notifications."""

    def send(self, queue: str, text: str, **_: Any) -> None:
        """Drops a message."""

    def close(self) -> None:
        """Does nothing."""


def main() -> None:
    """Prints what was redeemed and what was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redemptions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with SampleTenant() as tenant:
        found = run(tenant, given.redemptions, random.Random(given.seed))  # noqa: S311 - no secret
    sys.stdout.write(f"{found}\n")


def run(tenant: SampleTenant, redemptions: int, chance: random.Random) -> dict[str, Any]:
    """Sweeps until so many refresh tokens were redeemed."""
    tenant.reset()
    tenant.change_settings(access_token_lifetime=50, rotation="strict")
    clock = Clock()
    storage = BadStorage(MemoryAccountStore(), chance, clock)
    hosts = [_host(tenant, cast("AccountStore", storage), clock) for _ in range(2)]
    names = [f"person-{number}" for number in range(PEOPLE)]
    people = enrol(hosts[0], tenant, names)
    ticks = 0
    while tenant.log()["refresh_tokens_redeemed"] < redemptions:
        storage.good = False
        host = hosts[ticks % 2]
        ticks += 1
        Sweep(host, tasks=()).run(_due(host))
        for _ in range(TICK_SECONDS // RETRY_SECONDS):
            clock.move(seconds=RETRY_SECONDS)
            for each in hosts:
                each.unsaved_tokens.retry()
        storage.good = True
        found = {each.account_id: hosts[0].store.get(each.account_id) for each in people}
        gone = [name for name, each in zip(names, people, strict=True) if _is_lost(found[each.account_id])]
        enrol(hosts[0], tenant, gone)
    log = tenant.log()
    for each in hosts:
        each.close()
    lost = round(1000 * log["families_revoked"] / log["refresh_tokens_redeemed"], 1)
    return {name: log[name] for name in ("refresh_tokens_redeemed", "families_revoked")} | {"lost per 1,000": lost}


def _host(tenant: SampleTenant, store: AccountStore, clock: Clock) -> Services:
    settings = tenant.settings("http://localhost:7071") | {
        "BASE_URL": "http://localhost:7071",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "ENCRYPTION_KEYS": KEY,
        "SWEEP_SCHEDULE": "0 */5 * * * *",
        "REFRESH_TOKEN_ROTATION": "strict",
        "SWEEP_CONCURRENCY": "4",
    }
    limit = RateLimit(clock=lambda: clock().timestamp())
    app = Services(load(settings), now=clock, store=store, rate_limit=limit)
    app.unsaved_tokens = UnsavedTokens(store, clock=lambda: clock().timestamp(), start_thread=lambda _: None)

    app.queues = cast("Queues", NoQueues())

    def wait(seconds: float) -> None:
        clock.wait(seconds)
        app.unsaved_tokens.retry()

    app.wait = wait
    return app


def _due(host: Services) -> list[Any]:
    try:
        return list(due_slots(host.store, host.now()))
    except StoreError:
        return []


def _is_lost(account: Account | None) -> bool:
    return account is None or account.state is State.NEEDS_SIGN_IN


KEY = new_key("k1")

if __name__ == "__main__":
    main()
