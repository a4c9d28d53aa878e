"""What was pushed to the sample API, by person and ID, and what each push did."""

from collections import Counter
from typing import Any, Literal

Pushed = Literal["created", "updated", "unchanged"]
_COUNTS = ("puts", "created", "updated", "unchanged", "deleted", "refused")


class Items:
    """Items of each person, in memory."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets items and counts."""
        self._items: dict[str, dict[str, Any]] = {}
        self._counts: Counter[str] = Counter()

    def of(self, username: str) -> dict[str, Any]:
        """A person's items by ID."""
        return self._items.setdefault(username, {})

    def put(self, username: str, identity: str, value: Any) -> Pushed:
        """Keeps an item. The same value twice changes nothing."""
        mine = self.of(username)
        done: Pushed = "created" if identity not in mine else "unchanged" if mine[identity] == value else "updated"
        mine[identity] = value
        self.count("puts")
        self.count(done)
        return done

    def delete(self, username: str, identity: str) -> None:
        """Removes an item; nothing happens when it is gone."""
        if self.of(username).pop(identity, None) is not None:
            self.count("deleted")

    def count(self, what: str) -> None:
        """Counts one more."""
        self._counts[what] += 1

    def report(self) -> dict[str, Any]:
        """Counts, and all items by username, as JSON."""
        return {name: self._counts[name] for name in _COUNTS} | {
            "items": {each: dict(of) for each, of in self._items.items()}
        }
