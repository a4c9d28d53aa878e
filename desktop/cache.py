"""The token cache on disk, kept by msal-extensions: encrypted by the platform, or by choice in plain text.

Several clients may run at once. Every look and every change is made under a lock, on top of what is stored at that
moment, so nobody overwrites what another just wrote. (msal-extensions looks without its lock; a file that is just
being written is empty then, and MSAL takes that for a cache with nobody in it.)
"""

import json
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

# Files, DPAPI and Keychain raise OSErrors; libsecret's are RuntimeErrors.
_BROKEN = (OSError, RuntimeError)


class SharedTokenCache(SerializableTokenCache):  # type: ignore[misc] # MSAL ships no types
    """MSAL's token cache, read and written through `persistence`, whoever else does so at the same time.

    Raises Failed for what can't be read or written, or holds no token cache: it is left as it is.
    """

    def __init__(self, persistence: Any, lock: FileLock) -> None:
        super().__init__()
        self._persistence = persistence
        self._file_lock = lock

    def modify(
        self, credential_type: str, old_entry: dict[str, Any], new_key_value_pairs: dict[str, Any] | None = None
    ) -> None:
        """Called by MSAL for every change."""
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
        """Called by MSAL for every look-up."""
        with self._lock:
            with self._file_lock:
                self._reload()
            # Found all at once, and with the file's lock let go: MSAL removes expired tokens while it searches.
            return iter(list(super().search(credential_type, target, query, now=now)))

    def _reload(self) -> None:
        try:
            text = self._persistence.load()
        except PersistenceNotFound:
            text = "{}"
        except _BROKEN as error:
            raise unreadable(self._file) from error
        if not _is_cache(text):
            raise unreadable(self._file)
        self.deserialize(text)

    def _save(self, text: str) -> None:
        try:
            self._persistence.save(text)
        except _BROKEN as error:
            meaning = EntraError("you", "The token cache can't be written.", f"Check {self._file} and the disk.")
            raise Failed("cache_unwritable", meaning=meaning) from error

    @property
    def _file(self) -> Path:
        return Path(self._persistence.get_location())


class PrivateFile(FilePersistence):  # type: ignore[misc] # msal-extensions ships no types
    """Plain text that only this user can read, replaced in one move: a reader never sees half of it."""

    def save(self, content: str) -> None:
        """Writes a new file, mode 0600, in place of the old one."""
        target = Path(self.get_location())
        fresh = target.with_name(f"{target.name}.{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        fresh.replace(target)


def open_cache(file: Path, *, plain_text: bool) -> SharedTokenCache:
    """The cache in this file. Raises Failed when the platform can't encrypt and plain text was not asked for."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise usage(f"{file.parent} can't be made.", "Name another place with --cache.") from error
    persistence = PrivateFile(str(file)) if plain_text else _encrypted(file)
    return SharedTokenCache(persistence, FileLock(file.with_name(file.name + ".lock")))


def _is_cache(text: str) -> bool:
    """Is it MSAL's unified schema: sections of entries by key?"""
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and all(isinstance(section, dict) for section in content.values())


def unreadable(file: Path) -> Failed:
    """A file that is no token cache, or was encrypted by somebody else."""
    meaning = EntraError("you", "The token cache can't be read.", f"Delete {file} and sign in again.")
    return Failed("cache_unreadable", meaning=meaning)


def _encrypted(file: Path) -> Any:
    """By DPAPI, Keychain or libsecret. What each raises when it isn't there differs."""
    try:
        return build_encrypted_persistence(str(file))
    except (ImportError, RuntimeError, ValueError, OSError) as error:
        meaning = EntraError(
            "you",
            "This machine has nothing to encrypt the token cache with (DPAPI, Keychain or libsecret with PyGObject).",
            "Install it, or use --plain-text-cache: the tokens then lie in a file that only you can read.",
        )
        raise Failed("no_encryption", meaning=meaning, exit_code=USAGE) from error
