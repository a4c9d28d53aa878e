"""What the sample tenant keeps across restarts: one JSON file, always replaced as a whole."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


class Memory:
    """A dict in `folder`/tenant.json; without a folder it lives as long as the object. It makes its own secrets."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / "tenant.json" if folder else None
        self.values: dict[str, Any] = _read(self._path)
        fresh = {name: make() for name, make in _SECRETS.items() if name not in self.values}
        if fresh:
            self.save(**fresh)

    def save(self, **changes: Any) -> None:
        """Stores the changes, also on disk."""
        self.values.update(changes)
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(self.values), encoding="utf-8")
        draft.replace(self._path)


def _read(path: Path | None) -> dict[str, Any]:
    if path is None or not path.exists():
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _signing_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


_SECRETS: dict[str, Callable[[], str]] = {
    "signing_key": _signing_key,
    "workload_key": _signing_key,
    "ticket_key": lambda: Fernet.generate_key().decode(),
    "client_secret": lambda: "smp8Q~" + secrets.token_urlsafe(32),
}
