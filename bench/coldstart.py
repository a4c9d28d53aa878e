"""How long a new instance takes: the import of the app and of its SDKs alone, and the first /me of a new process.

`coldstart.first_me_ratio` divides the time from the start of a process until its first /me is answered by the time that
it takes to import `REFERENCE_SDKS`, so that figures of two machines can be compared. Each round starts both, one after
the other. The host is `localdev.host`, whose start is part of the time.

An earlier commit is measured beside this one, in the same rounds, with its own environment:

    git worktree add ../before 66ee1db && (cd ../before && python3 dev.py bench --quick coldstart)
    python3 dev.py bench coldstart --beside ../before

Then `coldstart.first_me_gain` is the median of this project's time over that one's, and has the target 0.9. The SDKs'
import is the same for both.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import MappingProxyType

from bench.far_end import PROJECT
from bench.figures import Figure
from bench.host_process import HostProcess
from bench.me import JSON, SOMEBODY, settings
from bench.rig import clean_environment
from bench.workbench import Workbench
from localdev import ports
from localdev.azurite import Azurite
from localdev.browser import Browser
from localdev.environment import Environment
from localdev.tenant import SampleTenant

SDKS: Mapping[str, str] = {
    "azure-functions": "azure.functions",
    "msal": "msal",
    "azure-data-tables": "azure.data.tables",
    "azure-storage-queue": "azure.storage.queue",
    "azure-identity": "azure.identity",
    "pycurl": "pycurl",
    "requests": "requests",
    "urllib3": "urllib3",
    "certifi": "certifi",
    "cryptography": "cryptography.x509",
    "Jinja2": "jinja2",
    "PyJWT": "jwt",
    "opentelemetry-api": "opentelemetry.trace",
    "tzdata": "tzdata",
}
"""The module of each package in requirements.in."""

REFERENCE_SDKS = tuple(module for package, module in SDKS.items() if package not in ("pycurl", "certifi", "tzdata"))
"""Those of commit 66ee1db. The unit of `first_me_ratio` stays the same when a package comes or goes."""

_TIMED = "import time; began = time.perf_counter(); import {}; print(1000 * (time.perf_counter() - began))"
_SHORT_LIFETIME = 200  # seconds; MSAL renews a token that lasts less than five minutes
_MANAGED_IDENTITY = {"CLIENT_SECRET": "", "CLIENT_ASSERTION": "managed-identity"}


@dataclass(frozen=True)
class Size:
    """How many new processes of each kind.

    Attributes:
        beside: the folder of another checkout of this project, with its own .venv.
    """

    imports: int = 11
    starts: int = 9
    beside: Path | None = None


QUICK = Size(imports=1, starts=1)


def run(size: Size, bench: Workbench) -> list[Figure]:
    """Measures imports in turns, then starts of the whole app beside imports of the SDKs."""
    _import_ms(["function_app"])  # writes bytecode and fills the system's file cache: as on a deployed instance
    bench.progress.show("imports")
    pairs = [(_import_ms(["function_app"]), _import_ms(SDKS.values())) for _ in range(size.imports)]
    app, sdks = median(ours for ours, _ in pairs), median(theirs for _, theirs in pairs)
    rounds = _measure_starts(size, bench)
    listening = median(each["listening"] for each in rounds)
    first_me, managed = median(each["secret"] for each in rounds), median(each["managed identity"] for each in rounds)
    ratio = median(each["secret"] / each["sdks"] for each in rounds)
    managed_ratio = median(each["managed identity"] / each["sdks"] for each in rounds)
    figures = [
        Figure("coldstart.ms", app, "ms", note="import function_app"),
        Figure("coldstart.sdks_ms", sdks, "ms", note="import the SDKs alone"),
        Figure("coldstart.ratio", median(ours / theirs for ours, theirs in pairs), "x"),
        Figure("coldstart.listening_ms", listening, "ms", note="new process to the first answer of any kind"),
        Figure("coldstart.first_me_ms", first_me, "ms", note="new process to the first /me, local host and all"),
        Figure("coldstart.first_me_ratio", ratio, "x", note="of the time to import 66ee1db's SDKs"),
        Figure("coldstart.first_me_managed_ms", managed, "ms", note="a managed identity's assertion redeems a token"),
        Figure("coldstart.first_me_managed_ratio", managed_ratio, "x"),
    ]
    return figures + (_compare(rounds) if size.beside else [])


def _compare(rounds: list[dict[str, float]]) -> list[Figure]:
    """The other checkout's ratios, and how ours relate to them."""
    figures = []
    for kind, name in (("secret", "first_me"), ("managed identity", "first_me_managed")):
        theirs = median(each[f"{kind} beside"] / each["sdks"] for each in rounds)
        gain = median(each[kind] / each[f"{kind} beside"] for each in rounds)
        figures.append(Figure(f"coldstart.{name}_ratio_beside", theirs, "x", note="the other checkout"))
        figures.append(Figure(f"coldstart.{name}_gain", gain, "x", "<= 0.9", note="ours over theirs"))
    return figures


def _import_ms(modules: Iterable[str]) -> float:
    command = [sys.executable, "-c", _TIMED.format(", ".join(modules))]
    return float(subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout)


def _measure_starts(size: Size, bench: Workbench) -> list[dict[str, float]]:
    """Milliseconds of each round, by what was started."""
    checkouts = {"": (PROJECT, Path(sys.executable))}
    if size.beside:
        checkouts[" beside"] = (size.beside, Environment(size.beside).python)
    with SampleTenant() as tenant, clean_environment(str(tenant.ca_bundle)), ExitStack() as ending:
        starts = {
            f"secret{suffix}": ending.enter_context(_installed(tenant, *where)) for suffix, where in checkouts.items()
        }
        tenant.change_settings(access_token_lifetime=_SHORT_LIFETIME)
        for suffix, where in checkouts.items():
            start = ending.enter_context(_installed(tenant, *where, _MANAGED_IDENTITY))
            starts[f"managed identity{suffix}"] = start
        rounds = []
        for number in range(1, size.starts + 1):
            bench.progress.show(f"starts, round {number} of {size.starts}")
            taken = {"sdks": _import_ms(REFERENCE_SDKS)}
            for name, start in sorted(starts.items(), reverse=number % 2 == 0):
                listening, taken[name] = start()
                if name == "secret":
                    taken["listening"] = listening
            rounds.append(taken)
    return rounds


@contextmanager
def _installed(
    tenant: SampleTenant, project: Path, python: Path, changes: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Callable[[], tuple[float, float]]]:
    """A checkout's app with its own storage, in which somebody has signed in. Yields a function that starts it and
    returns the milliseconds to the first answer, and to the first /me.

    Args:
        changes: settings that replace the usual ones.
    """
    port = ports.free(1)[0]
    url = f"http://localhost:{port}"
    with Azurite() as azurite:
        environment = settings(azurite, tenant, url) | tenant.managed_identity_environment() | dict(changes)
        browser = Browser(url)

        def start() -> tuple[float, float]:
            began = time.perf_counter()
            with HostProcess(environment, port=port, project=project, python=python):
                listening = time.perf_counter() - began
                browser.get("/me", Accept=JSON).raise_for_status()
                return 1000 * listening, 1000 * (time.perf_counter() - began)

        with HostProcess(environment, port=port, project=project, python=python):
            browser.sign_in(SOMEBODY).raise_for_status()
        yield start
        browser.close()
