"""What the app adds to one Graph call: GET /me with a cached token, compared with the sample Graph alone."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import urllib3

from bench.far_end import PROJECT
from bench.figures import Figure
from bench.rig import clean_environment
from bench.storage_calls import StorageCalls
from bench.workbench import Workbench
from localdev.azurite import Azurite
from localdev.browser import Browser
from localdev.host import LocalHost, index, load_app
from localdev.host.config import HostConfig
from localdev.tenant import SampleTenant
from shared.sealing import new_key
from shared.services import services

SOMEBODY = "ada@contoso.example"
JSON = "application/json"


@dataclass(frozen=True)
class Size:
    """How many requests."""

    requests: int = 400


QUICK = Size(requests=10)


def run(size: Size, bench: Workbench) -> list[Figure]:
    """Sends one request at a time: the app, the sample tenant and the browser share this process."""
    with Azurite() as azurite, SampleTenant() as tenant, clean_environment(str(tenant.ca_bundle)):
        calls = StorageCalls()
        with _run_app(azurite, tenant, calls) as url:
            browser = Browser(url)
            browser.sign_in(SOMEBODY).raise_for_status()
            bench.progress.show(f"{size.requests} requests for /me")
            ask_graph = _graph_client(tenant)
            browser.get("/me", Accept=JSON).raise_for_status()  # opens the connections
            tenant_before = tenant.log()
            calls.reset()
            whole, graph, nobody = _measure_in_turns(
                size.requests,
                lambda: browser.get("/me", Accept=JSON).raise_for_status(),
                ask_graph,
                lambda: Browser(url).get("/me", Accept=JSON),
            )
            tenant_after = tenant.log()
            browser.close()
    redeemed = tenant_after["refresh_tokens_redeemed"] - tenant_before["refresh_tokens_redeemed"]
    return [
        Figure("me.ms", whole, "ms", note=f"median of {size.requests}, by the local host"),
        Figure("me.graph_ms", graph, "ms", note="the sample Graph alone"),
        Figure("me.overhead_ms", whole - graph, "ms"),
        Figure("me.nobody_ms", nobody, "ms", note="of that the local host, HTTP and a refusal: 401, a new connection"),
        Figure("me.storage_calls", calls.total / size.requests, "calls", "= 1"),
        Figure("me.storage_writes", calls.writes, "calls", "= 0", "in all of them"),
        Figure("me.token_calls", redeemed, "calls", "= 0", "in all of them"),
    ]


def settings(azurite: Azurite, tenant: SampleTenant, url: str) -> dict[str, str]:
    """The app's settings, for the sample tenant."""
    return {
        **tenant.settings(url),
        "AzureWebJobsStorage": azurite.connection_string,
        "BASE_URL": url,
        "ENCRYPTION_KEYS": new_key("k1"),
        "SWEEP_SCHEDULE": "0 0 0 1 1 *",
        "AzureWebJobsDisableHomepage": "true",
    }


@contextmanager
def _run_app(azurite: Azurite, tenant: SampleTenant, calls: StorageCalls) -> Iterator[str]:
    """Runs the whole app on the local host, and counts its storage calls. Yields its address."""
    functions = index(load_app(PROJECT))
    with LocalHost(functions, host_json=HostConfig.load(PROJECT), settings=_HOST, triggers=False) as host:
        url = f"http://localhost:{host.port}"
        with _set_environment(settings(azurite, tenant, url)):
            services().tables = calls.counted(azurite.connection_string, services().storage_clock)
            yield url


_HOST = {"SWEEP_SCHEDULE": "0 0 0 1 1 *", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}


@contextmanager
def _set_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets the environment, from which the app reads its settings once."""
    before = dict(os.environ)
    os.environ.update(values)
    services.cache_clear()
    try:
        yield
    finally:
        services().close()
        services.cache_clear()
        os.environ.clear()
        os.environ.update(before)


def _graph_client(tenant: SampleTenant) -> Callable[[], object]:
    """A function that calls the sample Graph alone, with the person's token, on a connection that is kept."""
    person = next(each for each in tenant.people() if each["username"] == SOMEBODY)
    account = services().store.get(f"{person['oids'][tenant.tenant_id]}.{tenant.tenant_id}")
    assert account, "they have signed in"
    pool = urllib3.PoolManager()
    headers = {"Authorization": f"Bearer {services().access.acquire_token(account)}"}

    def ask() -> None:
        answer = pool.request("GET", f"{tenant.graph_url}/v1.0/me", headers=headers)
        if answer.status != 200:
            raise RuntimeError(f"the sample Graph answers {answer.status}")

    return ask


def _measure_in_turns(times: int, *acts: Callable[[], object]) -> list[float]:
    """Runs each function `times` times. Returns the median milliseconds of each."""
    taken: list[list[float]] = [[] for _ in acts]
    for _ in range(times):
        for act, seconds in zip(acts, taken, strict=True):
            began = time.perf_counter()
            act()
            seconds.append(time.perf_counter() - began)
    return [1000 * median(seconds) for seconds in taken]
