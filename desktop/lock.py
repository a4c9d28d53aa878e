"""A lock between processes on one machine, by the operating system: it ends with the process that holds it.

The lock of msal-extensions is the existence of a file: whoever is killed while holding it leaves it behind, and every
command after that waits five seconds and fails.
"""

import os
import sys
import time
from pathlib import Path
from types import TracebackType

_PATIENCE_SECONDS = 10.0
_TICK = 0.01


class LockBusy(OSError):
    """Somebody else held the lock all the time."""


class FileLock:
    """`with FileLock(path): …`; one thread at a time, not twice in one thread. The file stays: only its lock counts.

    Args:
        patience: seconds to wait for whoever else holds it.
    """

    def __init__(self, path: Path, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._path = path
        self._patience = patience
        self._file = -1

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        until = time.monotonic() + self._patience
        while not _locked(self._file):
            if time.monotonic() > until:
                os.close(self._file)
                raise LockBusy(f"{self._path} is locked")
            time.sleep(_TICK)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._file)  # and with it, the lock


if sys.platform == "win32":
    import msvcrt

    def _locked(file: int) -> bool:
        """Locks the file's first byte unless somebody else has."""
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _locked(file: int) -> bool:
        """Locks the file unless somebody else has."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
