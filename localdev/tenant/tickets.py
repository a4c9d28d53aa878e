"""Sealed JSON: refresh tokens, sign-in cookies and hidden fields carry their own content, encrypted. Nothing is stored
for them, so they survive a restart if the key does.
"""

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class Tickets:
    """Seals and opens tickets. A ticket of one kind does not open as another."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(key)

    def seal(self, kind: str, content: dict[str, Any]) -> str:
        """A URL-safe text."""
        return self._fernet.encrypt(json.dumps([kind, content]).encode()).decode().rstrip("=")

    def open(self, kind: str, ticket: str) -> dict[str, Any] | None:
        """What was sealed, or None for anything but our own ticket of this kind."""
        try:
            plain = self._fernet.decrypt(ticket + "=" * (-len(ticket) % 4))
        except (InvalidToken, ValueError):
            return None
        found, content = json.loads(plain)
        return dict(content) if found == kind else None
