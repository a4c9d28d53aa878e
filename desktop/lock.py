"""A lock between processes on one machine. The operating system releases it when its holder ends, however it ends.

msal-extensions' own lock is the existence of a file: a killed holder leaves the file behind, and each later command
waits five seconds and fails.
"""

import os
import sys
import time
from pathlib import Path
from types import TracebackType

_PATIENCE_SECONDS = 10.0
_RETRY_SECONDS = 0.01


class LockBusy(Exception):
    """The lock stayed taken for as long as we waited."""


class FileLock:
    """`with FileLock(path): …`. One thread uses it at a time, and never nested. The file stays: only its lock counts.

    Args:
        patience: seconds to wait while somebody else holds it. After that, LockBusy.
    """

    def __init__(self, path: Path, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._path = path
        self._patience = patience
        self._file = -1

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        ends_at = time.monotonic() + self._patience
        while not _try_lock(self._file):
            if time.monotonic() > ends_at:
                os.close(self._file)
                raise LockBusy(f"{self._path} is locked")
            time.sleep(_RETRY_SECONDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._file)  # this releases the lock


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        """Locks the file's first byte. False when somebody else has it."""
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: int) -> bool:
        """Locks the file. False when somebody else has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
