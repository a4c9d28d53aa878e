"""A deployment as the stand-in for the Azure CLI keeps it, and the stand-in on PATH."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

STAND_IN = Path(__file__).with_name("az_stand_in.py")
SOUND: dict[str, Any] = {
    "calls": [],
    "rest": [],
    "refusals": 0,
    "refreshes_denied": 0,
    "secrets": {},
    "references": {"ENCRYPTION_KEYS": "SecretNotFound"},
    "function_key": "key",
    "roles": ["Storage Blob Data Owner", "Storage Queue Data Contributor", "Storage Table Data Contributor"],
    "rules": {"misconfigured": True, "no-sweep": True, "set-aside": True},
    "rows": {'name in ("sweep"': 12, "was unable to start": 0},
    "queries_refused": [],
}


class Deployment:
    """What the stand-in remembers.

    Args:
        changes: of a deployment whose vault is empty still, and where all else is sound.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        self._file = folder / "state.json"
        self._file.write_text(json.dumps(SOUND | changes))

    @property
    def state(self) -> dict[str, Any]:
        """Calls, secrets, and the mode of the file that a secret came in."""
        state: dict[str, Any] = json.loads(self._file.read_text())
        return state


def put_az_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, *, others: bool = False) -> Path:
    """A folder on PATH with the stand-in as `az` in it; gives the folder.

    Args:
        others: are the machine's own programs on PATH too?
    """
    az = folder / "az"
    az.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    az.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}" if others else str(folder))
    monkeypatch.setenv("STAND_IN_STATE", str(folder / "state.json"))
    return folder
