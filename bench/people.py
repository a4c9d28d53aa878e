"""Fills the storage with people. MSAL makes the first token cache; the others are copies with their own ids."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from azure.data.tables import UpdateMode
from msal import ConfidentialClientApplication, SerializableTokenCache

from bench import tokens
from bench.rig import Rig, clean_environment
from localdev.progress import Progress
from shared.accounts import Account, Person, all_slots, slot_of
from shared.errors import StoreError

_AT_A_TIME = 100
_WRITERS = 4
_FAR = datetime(2100, 1, 1, tzinfo=UTC)
_TEMPLATE = tokens.object_id(-1)


@dataclass(frozen=True)
class Caches:
    """Serialized MSAL token caches, made from one that MSAL wrote.

    Attributes:
        template: the cache of the person who signed in.
    """

    template: str

    @classmethod
    def sign_in(cls, rig: Rig) -> "Caches":
        """Signs a first person in, so that MSAL writes a new account to its cache."""
        cache = SerializableTokenCache()
        with clean_environment(rig.far_end.ca_bundle):
            application = ConfidentialClientApplication(
                tokens.CLIENT_ID,
                client_credential="not-looked-at",
                authority=rig.far_end.authority,
                instance_discovery=False,
                token_cache=cache,
            )
            result = application.acquire_token_by_refresh_token(tokens.refresh_token(_TEMPLATE, 0), ["User.Read"])
        if "access_token" not in result:
            raise RuntimeError(f"the endpoint gave no token: {result}")
        rig.far_end.reset(latency=0.0)  # this request does not count
        return cls(cache.serialize())

    def of(self, oid: str) -> str:
        """The cache of the person with this object id."""
        own = self.template.replace(tokens.id_token(_TEMPLATE), tokens.id_token(oid))
        return own.replace(_TEMPLATE, oid)


def account_id(number: int) -> str:
    """The account id of the person with this number."""
    return f"{tokens.object_id(number)}.{tokens.TENANT_ID}"


def fill(rig: Rig, count: int, progress: Progress, *, due_at: datetime | None = None) -> None:
    """Stores `count` people who have just signed in, and their slots' hints.

    Args:
        due_at: when they are due; None for the time at which they count as away.
    """
    caches = Caches.sign_in(rig)
    stored = itertools.count(_AT_A_TIME, _AT_A_TIME)

    def fill_slot(slot: str, numbers: list[int]) -> None:
        for start in range(0, len(numbers), _AT_A_TIME):
            accounts = [_account(rig, caches, number, due_at) for number in numbers[start : start + _AT_A_TIME]]
            for result in rig.services.store.save_many(accounts):
                if isinstance(result, StoreError):
                    raise result
            progress.show(f"storing people: {min(next(stored), count)} of {count}")
        rig.services.store.lower_hint(slot, due_at or accounts[0].due_at)

    by_slot: dict[str, list[int]] = {}
    for number in range(count):
        by_slot.setdefault(slot_of(account_id(number)), []).append(number)
    with ThreadPoolExecutor(_WRITERS, thread_name_prefix="fill") as writers:
        list(writers.map(fill_slot, by_slot, by_slot.values()))


def first_of_each_slot(count: int) -> list[list[int]]:
    """The numbers of the first `count` people of each slot."""
    found: dict[str, list[int]] = {slot: [] for slot in all_slots()}
    for number in itertools.count():
        if all(len(numbers) == count for numbers in found.values()):
            return list(found.values())
        numbers = found[slot_of(account_id(number))]
        if len(numbers) < count:
            numbers.append(number)
    raise AssertionError("it counts for ever")


def make_due(rig: Rig, number: int) -> None:
    """Makes one person due now, as whoever wakes an account does."""
    store, now = rig.services.store, rig.clock()
    account = store.get(account_id(number))
    assert account, "it was stored"
    store.wake(replace(account, due_at=now))


def make_all_due(rig: Rig, due_at: datetime) -> None:
    """Makes everybody due, first the rows and then the hints: for processes that have the real clock.

    Replaces the rows of the slots as an instance of the first edition does, with all that they say of due times.
    """
    store, slots = rig.services.store, rig.services.tables.get_table_client("Slots")
    for slot in all_slots():
        for page in list(store.due(slot, _FAR)):
            for result in store.touch_many([replace(account, due_at=due_at) for account in page]):
                if isinstance(result, StoreError):
                    raise result
        slots.upsert_entity({"PartitionKey": "slots", "RowKey": slot, "NextDueAt": due_at}, mode=UpdateMode.REPLACE)


def _account(rig: Rig, caches: Caches, number: int, due_at: datetime | None) -> Account:
    services, oid = rig.services, tokens.object_id(number)
    person = Person(
        account_id=account_id(number),
        username=f"{oid}@contoso.example",
        tenant_id=tokens.TENANT_ID,
        object_id=oid,
        home_account_id=account_id(number),
        name="Somebody Somewhere",
    )
    account = services.lifecycle.enrol(
        None,
        person,
        scopes=services.settings.scopes,
        sealed_cache=services.settings.key_ring.seal_cache(caches.of(oid), person.account_id),
        token_expires_at=None,
        now=services.now(),
    )
    return replace(account, due_at=due_at) if due_at else account
