"""Stands in for libsecret: a keyring of files in the folder STAND_IN_KEYRING, shared by all processes.

Two trial entries at once are an error, and each call takes a few milliseconds, so trials that may overlap do overlap.
Another program deletes the trial entry of this process STAND_IN_FOREIGN_TRIALS times before it is read.
"""

import os
import time
from pathlib import Path

_KEYRING = Path(os.environ["STAND_IN_KEYRING"])
_TRIAL = "Test Schema"  # msal-extensions' name for the entry of its trial
_LATENCY_SECONDS = 0.003
_foreign_trials = iter(range(int(os.environ.get("STAND_IN_FOREIGN_TRIALS", "0"))))


class GLib:
    """The namespace GLib."""

    class Error(RuntimeError):
        """Whatever libsecret fails with."""


class Secret:
    """The namespace Secret."""

    class Schema:
        """What kind of secret an entry is. Here its name alone tells entries apart."""

        def __init__(self, name: str) -> None:
            self.name = name
            self.file = _KEYRING / name.replace(" ", "_")

        @staticmethod
        def new(name: str, *_: object) -> "Secret.Schema":
            """A schema."""
            return Secret.Schema(name)

    class SchemaFlags:
        """An enumeration."""

        NONE = 0

    class SchemaAttributeType:
        """An enumeration."""

        STRING = 0

    @staticmethod
    def password_store_sync(
        schema: Schema, _attributes: object, _collection: object, _label: str, password: str, _cancellable: None
    ) -> bool:
        """Stores an entry in place of an older one. Raises GLib.Error when another process's trial is under way."""
        time.sleep(_LATENCY_SECONDS)
        try:
            with schema.file.open("x" if schema.name == _TRIAL else "w", encoding="utf-8") as file:
                file.write(password)
        except FileExistsError as error:
            raise GLib.Error("two trials at once") from error
        return True

    @staticmethod
    def password_lookup_sync(schema: Schema, *_: object) -> str | None:
        """The entry, None when there is none."""
        time.sleep(_LATENCY_SECONDS)
        if schema.name == _TRIAL and next(_foreign_trials, None) is not None:
            schema.file.unlink()
        return schema.file.read_text(encoding="utf-8") if schema.file.exists() else None

    @staticmethod
    def password_clear_sync(schema: Schema, *_: object) -> bool:
        """Deletes the entry, if it is there."""
        time.sleep(_LATENCY_SECONDS)
        existed = schema.file.exists()
        schema.file.unlink(missing_ok=True)
        return existed
