"""Which person, or which tenant for everybody in it, has consented to what for which app."""

from collections.abc import Iterable
from typing import Literal, get_args

# Who may consent: everybody for themselves; administrators only; administrators, whom people can ask on a page
# ("Configure how users consent to applications", "Configure the admin consent workflow").
Policy = Literal["everybody", "administrators", "on_request"]
POLICIES = get_args(Policy)


class Consents:
    """Scope keys by client ID and object ID, or tenant ID where an administrator consented for everybody."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], set[str]] = {}
        self._policies: dict[str, Policy] = {}

    def of(self, client_id: str, oid: str, tid: str) -> set[str]:
        """The scope keys that this person, or an administrator of the tenant, has consented to for the app."""
        return self._given.get((client_id, oid), set()) | self._given.get((client_id, tid), set())

    def give(self, client_id: str, subject: str, keys: Iterable[str]) -> None:
        """Adds a consent of an object ID or tenant ID."""
        self._given.setdefault((client_id, subject), set()).update(keys)

    def withdraw(self, oids: Iterable[str], client_id: str = "", keys: Iterable[str] = ()) -> None:
        """Removes these keys from the app's consents of these object IDs; without keys, all their consents."""
        gone, wanted = set(oids), set(keys)
        for (app, subject), scopes in list(self._given.items()):
            if subject in gone and wanted and app == client_id:
                scopes.difference_update(wanted)
            elif subject in gone and not wanted:
                del self._given[app, subject]

    def policy(self, tid: str) -> Policy:
        """Who may consent in this tenant."""
        return self._policies.get(tid, "everybody")

    def set_policy(self, tid: str, policy: Policy) -> None:
        """Changes who may consent in this tenant."""
        self._policies[tid] = policy

    def clear(self) -> None:
        """Removes all consents and policies."""
        self._given.clear()
        self._policies.clear()

    def memory(self) -> list[list[object]]:
        """What must survive a restart, as JSON."""
        return [[client_id, subject, sorted(keys)] for (client_id, subject), keys in self._given.items()]

    def recall(self, memory: list[list[object]]) -> None:
        """Restores what `memory()` returned."""
        for client_id, subject, keys in memory:
            self.give(str(client_id), str(subject), keys if isinstance(keys, list) else ())
