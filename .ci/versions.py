"""Tests the main job with the lowest and the newest allowed versions of the app's main packages. It runs under this
Python and under 3.13, which uses azure-functions 2.x.

python3 .ci/versions.py [lowest] [newest]
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from localdev import pythons
from localdev.environment import Environment, InstallError
from localdev.progress import Progress
from localdev.side_environment import SideEnvironment

PACKAGES = ("msal", "azure-data-tables", "azure-functions")
TESTS = (
    "tests/test_main_job.py",
    "tests/test_fanout.py",
    "tests/shared/test_identity.py",
    "tests/shared/test_store_contract.py",
    "tests/localdev/test_host_http.py",
    "tests/localdev/test_host_indexing.py",
)
_LINE = re.compile(
    r'(?P<name>[\w-]+)>=(?P<lowest>[\w.]+),<[\w.]+(?:; python_version (?P<than>[<>]=?) "(?P<python>[\d.]+)")?'
)


def lowest(requirements: str, python: tuple[int, int]) -> Iterator[str]:
    """`name==version` for each of PACKAGES, as pip would resolve it for this Python."""
    for line in _LINE.finditer(requirements):
        if line["name"] in PACKAGES and _applies(line, python):
            yield f"{line['name']}=={line['lowest']}"


def _applies(line: re.Match[str], python: tuple[int, int]) -> bool:
    if not line["python"]:
        return True
    bound = tuple(int(part) for part in line["python"].split("."))
    return python < bound if line["than"] == "<" else python >= bound


def tried(end: str, version: str, python: Path, progress: Progress) -> int:
    """Installs one end of the ranges for one Python and runs the tests. Returns pytest's exit code."""
    requirements = (PROJECT / "requirements.in").read_text("utf-8")
    major, minor = version.split(".")
    pinned = lowest(requirements, (int(major), int(minor))) if end == "lowest" else ()
    packages = ["-r", "requirements-dev.txt", *pinned]
    made = SideEnvironment(PROJECT, f"{end}-{version}", packages, python).ensure(progress)
    installed = subprocess.run([made, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    seen = ", ".join(line for line in installed.split() if line.split("==")[0] in PACKAGES)
    progress.say(f"{end}, Python {version}: {seen}")
    return subprocess.run([made, "-m", "pytest", "-q", *TESTS], cwd=PROJECT, check=False).returncode


def interpreters() -> Iterator[tuple[str, Path]]:
    """This Python, and 3.13 if it is installed."""
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for version in dict.fromkeys((this, "3.13")):
        python = pythons.find(version)
        if python is not None:
            yield version, python


def main(ends: list[str]) -> int:
    """Returns 0 when every combination passed."""
    progress = Progress(sys.stderr)
    results = {}
    try:
        Environment(PROJECT).ensure(progress)  # Azurite is installed there
        for version, python in interpreters():
            for end in ends or ["lowest", "newest"]:
                results[f"{end} on {version}"] = tried(end, version, python, progress)
    except InstallError as error:
        print(f"versions: {error}", file=sys.stderr)
        return 1
    print("versions: " + ", ".join(f"{name} {'FAILED' if code else 'ok'}" for name, code in results.items()))
    return int(any(results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
