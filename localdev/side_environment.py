"""Environments besides .venv, for what must stay apart from the app's packages: another Python, other versions, heavy
tools. They are made on first use under .local, and made again when their inputs change.

Standard library only.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localdev.environment import InstallError, lock, reason
from localdev.progress import Progress

_NO_INDEX = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError", "Connection refused")


class IndexUnreachableError(InstallError):
    """The package index can't be reached. The request itself may be fine."""


@dataclass(frozen=True)
class SideEnvironment:
    """A virtual environment with its own packages.

    Args:
        name: its folder's name.
        packages: pip's arguments: requirements, `-r file`, `-c file`; paths are relative to the project.
        python: its interpreter; this one by default.
    """

    project: Path
    name: str
    packages: Sequence[str]
    python: Path = field(default_factory=lambda: Path(sys.executable))

    @property
    def folder(self) -> Path:
        """Its folder."""
        return self.project / ".local" / "environments" / self.name

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def ensure(self, progress: Progress) -> Path:
        """Makes the environment unless it exists as asked for. Returns its interpreter.

        Raises:
            IndexUnreachableError, InstallError
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(self.folder.with_name(f"{self.name}.lock"), progress):
            if not self._is_current():
                progress.say(f"installing {self.name} (once)")
                self._make()
        return self.interpreter

    @property
    def _stamp(self) -> Path:
        return self.folder / "understudy.txt"

    def _is_current(self) -> bool:
        try:
            return self._stamp.read_text("ascii") == self._made_from() and self.interpreter.is_file()
        except OSError:
            return False

    def _made_from(self) -> str:
        # Not the link to it: projects that share this folder through links would make it anew in turns.
        python = os.path.realpath(self.python)
        content = hashlib.sha256(f"{python}\0{list(self.packages)}".encode())
        files = [argument for argument in self.packages if argument.endswith((".txt", ".in"))]
        for file in [*files, "requirements.in"]:  # requirements-dev.txt includes it
            content.update((self.project / file).read_bytes())
        return content.hexdigest()

    def _make(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._run([str(self.python), "-m", "venv", str(self.folder)])
        quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet"]
        self._run([str(self.interpreter), "-m", "pip", "install", *quiet, *self.packages])
        self._stamp.write_text(self._made_from(), "ascii")

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            kind = IndexUnreachableError if any(sign in done.stdout for sign in _NO_INDEX) else InstallError
            raise kind(f"{self.name}: {reason(done.stdout.splitlines()) or f'exit code {done.returncode}'}")
