"""Several child processes as one: each line of output starts with the child's name, and they are stopped in order."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TextIO

from localdev.lifeline import Child

_COLOURS = ("\033[36m", "\033[35m", "\033[33m", "\033[32m")
_PLAIN = "\033[0m"


class ChildEndedError(Exception):
    """A child exited unexpectedly."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name} ended by itself (exit code {code})")
        self.name = name
        self.code = code


class Supervisor:
    """Owns the children that it starts. Honours NO_COLOR (no-color.org).

    Args:
        folder: where the children run.
        output: where their output goes.
    """

    def __init__(self, folder: Path, output: TextIO = sys.stdout) -> None:
        self._folder = folder
        self._output = output
        self._colour = output.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._children: dict[str, Child] = {}
        self._readers: list[threading.Thread] = []
        self._writing = threading.Lock()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts one child. `command` is a module and its arguments, or another command line of localdev.lifeline."""
        # Python buffers output to a pipe unless this is set.
        told = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        child = Child(command, folder=self._folder, environment=told, output=subprocess.PIPE)
        colour = _COLOURS[len(self._children) % len(_COLOURS)]
        self._children[name] = child
        if child.process.stdout is not None:
            reader = threading.Thread(target=self._copy, args=(name, colour, child.process.stdout), daemon=True)
            self._readers.append(reader)
            reader.start()

    def _copy(self, name: str, colour: str, lines: IO[bytes]) -> None:
        shown = f"{name:<7}|"
        front = f"{colour}{shown}{_PLAIN}" if self._colour else shown
        with lines:
            for line in lines:
                self.say(f"{front} {line.decode(errors='replace').rstrip()}")

    def say(self, line: str) -> None:
        """Prints one whole line, also when other threads print."""
        with self._writing:
            self._output.write(line + "\n")
            self._output.flush()

    def check(self) -> None:
        """Raises: ChildEndedError"""
        for name, child in self._children.items():
            code = child.process.poll()
            if code is not None:
                raise ChildEndedError(name, code)

    def stop(self) -> None:
        """Stops the children, the last started first, and shows their remaining output."""
        for child in reversed(self._children.values()):
            child.stop()
        for reader in self._readers:
            reader.join(2)
        self._children.clear()
        self._readers.clear()
