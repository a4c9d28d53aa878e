"""The app under Microsoft's runtime library and under localdev's host: one suite for both."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from localdev import pythons
from localdev.azurite import Azurite
from localdev.host import IndexedFunction, LocalHost
from localdev.host.config import HostConfig
from localdev.progress import Progress
from localdev.side_environment import IndexUnreachableError, SideEnvironment
from localdev.tenant import SampleTenant
from shared.sealing import new_key
from shared.services import Services
from shared.settings import load
from tests.runtime.settings import BASE_URL, clean
from tests.runtime.workers import HostWorker, LibraryWorker, Worker
from tests.support import ignored

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def runtime_python() -> Path:
    """An interpreter with the app's packages and Microsoft's runtime library."""
    python = pythons.find("3.13")
    if python is None:
        pytest.skip("no Python 3.13 on this machine: azure-functions-runtime has no other")
    packages = ["-r", "requirements.in", "-c", "constraints.txt", "azure-functions-runtime>=1.3,<2"]
    return _made(SideEnvironment(ROOT, "runtime", packages, python))


@pytest.fixture(scope="session")
def deployed_python() -> Path:
    """An interpreter with requirements.txt alone: what a build in Azure installs."""
    return _made(SideEnvironment(ROOT, "deployed", ["-r", "requirements.txt"]))


def _made(environment: SideEnvironment) -> Path:
    try:
        return environment.ensure(Progress(sys.stderr))
    except IndexUnreachableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def deployed_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a deployment: the checkout without what .gitignore and .funcignore name."""
    tree = tmp_path_factory.mktemp("deployed")
    for entry in ROOT.iterdir():
        if ignored(entry.name, ".gitignore") or ignored(entry.name, ".funcignore"):
            continue
        if entry.is_dir():
            shutil.copytree(entry, tree / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(entry, tree)
    return tree


@pytest.fixture(scope="session")
def _session_environment(azurite: Azurite, _sample_tenant: SampleTenant) -> dict[str, str]:
    return {
        **_sample_tenant.settings(BASE_URL),
        "AzureWebJobsStorage": azurite.connection_string,
        "BASE_URL": BASE_URL,
        "ENCRYPTION_KEYS": new_key("k1"),
        "SWEEP_SCHEDULE": "0 */5 * * * *",
        "AzureWebJobsDisableHomepage": "true",
    }


@pytest.fixture
def environment(
    _session_environment: dict[str, str], tables: TableServiceClient, sample_tenant: SampleTenant
) -> dict[str, str]:
    """The same settings for every test: the library indexes once per process, and its process lasts for the session."""
    sample_tenant.settings(BASE_URL)
    return _session_environment


@pytest.fixture(scope="session")
def library(
    request: pytest.FixtureRequest, runtime_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LibraryWorker]:
    """The library, with the app indexed in it, for the whole session."""
    settings: dict[str, str] = request.getfixturevalue("_session_environment")
    log = tmp_path_factory.mktemp("runtime") / "worker.log"
    worker = LibraryWorker(runtime_python, ROOT, clean(settings), log, base_url=BASE_URL, project=ROOT)
    yield worker
    worker.close()


@pytest.fixture(params=["library", "host"])
def worker(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    functions: tuple[IndexedFunction, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Worker]:
    """Each of the two workers."""
    if request.param == "library":
        library: LibraryWorker = request.getfixturevalue("library")
        library.log.clear()
        yield library
        return
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with LocalHost(functions, host_json=HostConfig.load(ROOT), settings=environment, triggers=False) as host:
        local = HostWorker(host)
        local.start_log()
        yield local
        local.stop_log()


@pytest.fixture
def storage(environment: dict[str, str]) -> Iterator[Services]:
    """The app's storage, read and changed without the app."""
    services = Services(load(environment))
    yield services
    services.close()
