"""Which person has consented to what for which app."""

from collections.abc import Iterable


class Consents:
    """Scope keys by client ID and object ID."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], set[str]] = {}

    def of(self, client_id: str, oid: str) -> set[str]:
        """The scope keys that the person with this object ID has consented to for the app."""
        return set(self._given.get((client_id, oid), ()))

    def give(self, client_id: str, oid: str, keys: Iterable[str]) -> None:
        """Adds a consent."""
        self._given.setdefault((client_id, oid), set()).update(keys)

    def withdraw(self, oids: Iterable[str]) -> None:
        """Removes all consents of these object IDs."""
        gone = set(oids)
        self._given = {key: scopes for key, scopes in self._given.items() if key[1] not in gone}

    def clear(self) -> None:
        """Removes all consents."""
        self._given.clear()

    def memory(self) -> list[list[object]]:
        """What must survive a restart, as JSON."""
        return [[client_id, oid, sorted(keys)] for (client_id, oid), keys in self._given.items()]

    def recall(self, memory: list[list[object]]) -> None:
        """Restores what `memory()` returned."""
        for client_id, oid, keys in memory:
            self.give(str(client_id), str(oid), keys if isinstance(keys, list) else ())
