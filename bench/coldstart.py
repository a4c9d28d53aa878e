"""How long a new instance takes: the import of the app and of its SDKs alone, and the first /me of a new process."""

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from bench.far_end import PROJECT
from bench.figures import Figure
from bench.host_process import HostProcess
from bench.me import JSON, SOMEBODY, settings
from bench.rig import clean_environment
from localdev import ports
from localdev.azurite import Azurite
from localdev.browser import Browser
from localdev.progress import Progress
from localdev.tenant import SampleTenant

SDKS: Mapping[str, str] = {
    "azure-functions": "azure.functions",
    "msal": "msal",
    "azure-data-tables": "azure.data.tables",
    "azure-storage-queue": "azure.storage.queue",
    "azure-identity": "azure.identity",
    "requests": "requests",
    "urllib3": "urllib3",
    "certifi": "certifi",
    "cryptography": "cryptography.x509",
    "Jinja2": "jinja2",
    "PyJWT": "jwt",
    "opentelemetry-api": "opentelemetry.trace",
}
"""The module of each package in requirements.in."""

_TIMED = "import time; began = time.perf_counter(); import {}; print(1000 * (time.perf_counter() - began))"


@dataclass(frozen=True)
class Size:
    """How many new processes of each kind."""

    imports: int = 11
    starts: int = 5


QUICK = Size(imports=1, starts=1)


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measures imports in turns, then starts of the whole app."""
    _import_ms("function_app")  # writes bytecode and fills the system's file cache: as on a deployed instance
    progress.show("imports")
    pairs = [(_import_ms("function_app"), _import_ms(", ".join(SDKS.values()))) for _ in range(size.imports)]
    app, sdks = median(ours for ours, _ in pairs), median(theirs for _, theirs in pairs)
    progress.show("starts")
    listening, first_me = _measure_starts(size.starts)
    return [
        Figure("coldstart.ms", app, "ms", note="import function_app"),
        Figure("coldstart.sdks_ms", sdks, "ms", note="import the SDKs alone"),
        Figure("coldstart.ratio", median(ours / theirs for ours, theirs in pairs), "x", "<= 1.3"),
        Figure("coldstart.listening_ms", listening, "ms", note="new process to the first answer of any kind"),
        Figure("coldstart.first_me_ms", first_me, "ms", note="new process to the first /me, local host and all"),
    ]


def _import_ms(modules: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(modules)]
    return float(subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout)


def _measure_starts(times: int) -> tuple[float, float]:
    """Median milliseconds to the first answer, and to the first /me of a person who signed in before."""
    taken = []
    with Azurite() as azurite, SampleTenant() as tenant, clean_environment(str(tenant.ca_bundle)):
        port = ports.free(1)[0]
        url = f"http://localhost:{port}"
        environment = settings(azurite, tenant, url)
        browser = Browser(url)
        with HostProcess(environment, port=port):
            browser.sign_in(SOMEBODY).raise_for_status()
        for _ in range(times):
            began = time.perf_counter()
            with HostProcess(environment, port=port):
                listening = time.perf_counter() - began
                browser.get("/me", Accept=JSON).raise_for_status()
                taken.append((1000 * listening, 1000 * (time.perf_counter() - began)))
        browser.close()
    return median(each[0] for each in taken), median(each[1] for each in taken)
