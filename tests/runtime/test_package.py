"""A clean checkout, as .funcignore leaves it, with requirements.txt alone: it indexes and serves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from localdev.host import IndexedFunction
from tests.runtime.settings import BASE_URL, clean
from tests.runtime.workers import LibraryWorker

ROOT = Path(__file__).parents[2]
NEVER_DEPLOYED = ("tests", "bench", "desktop", "localdev", "infra", "docs", ".git", ".venv", "local.settings.json")
_MEBIBYTE = 1024 * 1024
_OWN = ("pip", "setuptools")


def size(folder: Path) -> float:
    """The size of all files below a folder, in MiB, without compiled ones."""
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return sum(file.stat().st_size for file in files) / _MEBIBYTE


def site_packages(python: Path) -> Path:
    """Where an environment keeps its packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip())


def test_the_tree_indexes_and_serves(
    deployed_tree: Path,
    deployed_python: Path,
    environment: dict[str, str],
    functions: tuple[IndexedFunction, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It needs nothing that is not deployed: functions, a page, a stylesheet and the redirect to the tenant work."""
    assert not [name for name in NEVER_DEPLOYED if (deployed_tree / name).exists()]
    asked = {"home": "/", "style": "/style.css", "signin": "/signin", "me": "/me"}
    done = subprocess.run(
        [
            deployed_python,
            Path(__file__).with_name("tree_app.py"),
            *(f"{name}={BASE_URL}{path}" for name, path in asked.items()),
        ],
        cwd=deployed_tree,
        env=clean(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert set(answer["functions"]) == {each.name for each in functions}
    assert answer["statuses"] == {"home": 200, "style": 200, "signin": 303, "me": 401}
    packages = site_packages(deployed_python)
    installed = size(packages) - sum(size(packages / name) for name in _OWN)
    with capsys.disabled():
        sys.stdout.write(f"\n  deployed: {size(deployed_tree):.1f} MiB, {installed:.0f} MiB installed\n")
    assert size(deployed_tree) < 2
    assert installed < 120


def test_the_tree_runs_under_microsofts_library(
    deployed_tree: Path,
    runtime_python: Path,
    environment: dict[str, str],
    functions: tuple[IndexedFunction, ...],
    tmp_path: Path,
) -> None:
    """The library finds every module of the app in the tree, and answers from it."""
    worker = LibraryWorker(
        runtime_python, deployed_tree, clean(environment), tmp_path / "log", base_url=BASE_URL, project=ROOT
    )
    try:
        assert set(worker.triggers()) == {each.name for each in functions}
        assert worker.http("home", "GET", "/").status == 200
        assert worker.http("signin", "GET", "/signin").status == 303
    finally:
        worker.close()
