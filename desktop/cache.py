"""The token cache on disk: encrypted by the platform through msal-extensions, or, if asked for, in plain text.

Several clients may run at once. Each look-up and each change takes a lock and starts from what is stored at that
moment, so nobody loses what another just wrote. (msal-extensions reads without its lock: it can meet a half-written
file, which is empty, and take it for a cache with nobody in it.)
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msal import SerializableTokenCache
from msal_extensions import FilePersistence, build_encrypted_persistence
from msal_extensions.persistence import PersistenceNotFound

from desktop.failures import USAGE, Failed, usage
from desktop.lock import FileLock
from shared.error_codes import EntraError
from shared.token_cache_schema import check_token_cache

# Files, DPAPI and Keychain raise OSError. libsecret's GLib.Error is a RuntimeError, a wrong encoding a ValueError.
_BROKEN = (OSError, RuntimeError, ValueError)
_TRIALS = 3


class SharedTokenCache(SerializableTokenCache):  # type: ignore[misc] # MSAL ships no types
    """MSAL's token cache, stored by `persistence` under `lock`.

    Raises Failed when the storage can't be read or written, or holds no token cache, which is then left as it is; and
    LockBusy.
    """

    def __init__(self, persistence: Any, lock: FileLock) -> None:
        super().__init__()
        self._persistence = persistence
        self._file_lock = lock

    def modify(
        self, credential_type: str, old_entry: dict[str, Any], new_key_value_pairs: dict[str, Any] | None = None
    ) -> None:
        """Changes the stored cache. MSAL calls it for every change."""
        with self._lock, self._file_lock:
            self._reload()
            super().modify(credential_type, old_entry, new_key_value_pairs)
            self._save(self.serialize())

    def search(
        self,
        credential_type: str,
        target: list[str] | None = None,
        query: dict[str, Any] | None = None,
        *,
        now: float | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Searches the stored cache. MSAL calls it for every look-up."""
        with self._lock:
            with self._file_lock:
                self._reload()
            # Complete, and without the file's lock: MSAL removes expired tokens while it searches.
            return iter(list(super().search(credential_type, target, query, now=now)))

    def _reload(self) -> None:
        try:
            text = self._persistence.load()
            check_token_cache(text)
        except PersistenceNotFound:
            text = "{}"
        except _BROKEN as error:
            where = self._persistence.get_location()
            in_file = isinstance(self._persistence, FilePersistence)
            cure = f"Delete {where}" if in_file else "Delete its entry in your keyring, or name another file by --cache"
            meaning = EntraError("you", "The token cache can't be read.", f"{cure}. Then sign in again.")
            raise Failed("cache_unreadable", meaning=meaning) from error
        self.deserialize(text)

    def _save(self, text: str) -> None:
        try:
            self._persistence.save(text)
        except _BROKEN as error:
            remedy = f"Check {self._persistence.get_location()} and the disk."
            meaning = EntraError("you", "The token cache can't be written.", remedy)
            raise Failed("cache_unwritable", meaning=meaning) from error


class PrivateFile(FilePersistence):  # type: ignore[misc] # msal-extensions ships no types
    """Text in UTF-8 that only this user can read. A save replaces the file in one step: nobody reads half of it."""

    def load(self) -> str:
        """The content. Raises PersistenceNotFound, OSError, or UnicodeDecodeError."""
        try:
            return Path(self.get_location()).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise PersistenceNotFound(location=self.get_location()) from error

    def save(self, content: str) -> None:
        """Writes a new file, mode 0600, and moves it over the old one. The caller holds the lock."""
        target = Path(self.get_location())
        fresh = target.with_name(f"{target.name}.new")
        fresh.unlink(missing_ok=True)  # a killed client may have left it
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        fresh.replace(target)


def open_cache(file: Path, *, plain_text: bool) -> SharedTokenCache:
    """Opens the cache at `file`. If that is a symbolic link, the cache is at its target, and the link stays.

    Raises Failed when the place can't be used, or nothing encrypts and plain text was not asked for; LockBusy.
    """
    try:
        target = file.resolve()
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(target.with_name(f"{target.name}.lock"))
        with lock:
            # The platforms' stores know the cache by the name it was given, not by the link's target.
            persistence = PrivateFile(str(target)) if plain_text else _encrypted(file)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead to each other
        raise usage(f"The token cache can't be at {file}.", "Name another place with --cache.") from error
    return SharedTokenCache(persistence, lock)


def _encrypted(file: Path) -> Any:
    """DPAPI, Keychain or libsecret. The caller holds the lock.

    For libsecret msal-extensions stores a trial entry, reads it and deletes it (`trial_run` in its libsecret.py). A
    user has one such entry, so another program's trial can delete ours before we read it. msal-extensions then asserts
    in vain. That says nothing about libsecret, so the trial is repeated.
    """
    trial = 0
    while True:
        trial += 1
        try:
            return build_encrypted_persistence(str(file))
        except (ImportError, RuntimeError, ValueError, OSError) as error:  # each platform has its own
            if not isinstance(error.__context__, AssertionError) or trial == _TRIALS:
                raise Failed("no_encryption", exit_code=USAGE) from error
