"""The baseline: the .NET sample's background worker, as it would be written in Python.

One person after the other, with a new MSAL application and MSAL's default HTTP client, one read and one write per
person.
"""

import itertools
import time
from dataclasses import dataclass

from azure.data.tables import TableServiceClient
from msal import ConfidentialClientApplication, SerializableTokenCache

from bench import tokens
from bench.people import Caches
from bench.rig import Rig
from shared.clients.storage import CLIENT_OPTIONS

_TABLE, _PARTITION = "Baseline", "people"
_AT_A_TIME = 100


@dataclass(frozen=True)
class Pass:
    """What one pass over some people took."""

    people: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """People per second."""
        return self.people / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of this process's CPU time per person."""
        return 1000 * self.cpu_seconds / self.people


def fill(rig: Rig, people: int) -> None:
    """Stores the caches of `people` people, one row per person."""
    caches = Caches.sign_in(rig)
    with _service(rig) as service:
        table = service.create_table_if_not_exists(_TABLE)
        for start in range(0, people, _AT_A_TIME):
            numbers = range(start, min(start + _AT_A_TIME, people))
            oids = [tokens.object_id(number) for number in numbers]
            table.submit_transaction([("upsert", _row(oid, caches.of(oid))) for oid in oids])


def run_loop(rig: Rig, people: int, *, seconds: float) -> Pass:
    """Redeems these people's tokens, again and again, for `seconds`."""
    began, cpu = time.monotonic(), time.process_time()
    done = 0
    with _service(rig) as service:
        table = service.get_table_client(_TABLE)
        for number in itertools.cycle(range(people)):
            if time.monotonic() - began >= seconds:
                break
            oid = tokens.object_id(number)
            cache = SerializableTokenCache()
            cache.deserialize(table.get_entity(_PARTITION, oid)["Cache"])
            _acquire(rig, cache)
            table.upsert_entity(_row(oid, cache.serialize()))
            done += 1
    return Pass(done, time.monotonic() - began, time.process_time() - cpu)


def _acquire(rig: Rig, cache: SerializableTokenCache) -> None:
    application = ConfidentialClientApplication(
        tokens.CLIENT_ID,
        client_credential="not-looked-at",
        authority=rig.far_end.authority,
        instance_discovery=False,  # MSAL knows Entra's hosts, and would not ask about them either
        token_cache=cache,
    )
    result = application.acquire_token_silent(["User.Read"], application.get_accounts()[0])
    if not result or "access_token" not in result:
        raise RuntimeError(f"the baseline got no token: {result}")


def _row(oid: str, cache: str) -> dict[str, str]:
    return {"PartitionKey": _PARTITION, "RowKey": oid, "Cache": cache}


def _service(rig: Rig) -> TableServiceClient:
    return TableServiceClient.from_connection_string(rig.azurite.connection_string, **CLIENT_OPTIONS)
