"""Everything that one running sample tenant knows. Only its own thread uses it (see server)."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from localdev.graph.data import GraphData
from localdev.sample_api.items import Items
from localdev.tenant.apps import Apps, SecretState
from localdev.tenant.consents import Consents
from localdev.tenant.devices import Devices
from localdev.tenant.faults import Faults
from localdev.tenant.grants import Codes, RefreshTokens
from localdev.tenant.journal import Journal
from localdev.tenant.memory import Memory
from localdev.tenant.people import People, Person
from localdev.tenant.scopes import ScopeReader
from localdev.tenant.settings import TenantSettings
from localdev.tenant.signing import SigningKey
from localdev.tenant.tickets import Tickets
from localdev.tenant.workloads import Workloads


class Tenancy:
    """The parts, and where they are served: `back` (https) for programs, `page` (http) for browsers."""

    def __init__(
        self,
        *,
        folder: Path | None,
        clock: Callable[[], float],
        redirect_uris: Iterable[str],
        keep_secrets: bool,
    ) -> None:
        self._clock = clock
        self.back = self.page = ""
        self.memory = Memory(folder)
        self.settings = TenantSettings()
        self.journal = Journal(keep_secrets=keep_secrets)
        self.people = People()
        self.consents = Consents()
        self.faults = Faults(self.now)
        self.data = GraphData(self.now)
        self.items = Items()
        self.signing = SigningKey(self.memory.values["signing_key"])
        self.workloads = Workloads(SigningKey(self.memory.values["workload_key"]))
        self.apps = Apps(secret=self.memory.values["client_secret"], redirect_uris=redirect_uris)
        self.apps.web.federated.append(self.workloads.credential)
        self.journal.secret(self.apps.web.secret)
        self.tickets = Tickets(self.memory.values["ticket_key"])
        self.codes = Codes(self.now, self.settings, self.journal)
        families = self.memory.values.setdefault("families", {})
        self.refresh_tokens = RefreshTokens(
            self.now,
            self.settings,
            self.journal,
            self.tickets,
            families,
            lambda found: self.memory.save(families=found),
        )
        self.devices = Devices(self.now, self.settings, self.journal)
        self._recall()

    def now(self) -> float:
        """The time by the tenant's clock, in seconds since 1970."""
        return self._clock() + self.settings.clock_skew

    @property
    def graph(self) -> str:
        """The sample Graph's root; /v1.0 comes after it."""
        return f"{self.page}/graph"

    @property
    def scopes(self) -> ScopeReader:
        """Reads scopes; the sample Graph's own address is a Graph root too."""
        return ScopeReader((self.graph, self.page), {app.client_id: app.exposes for app in self.apps if app.exposes})

    def save(self) -> None:
        """Stores what has happened to people, and what they consented to."""
        self.memory.save(
            people={person.username: person.memory() for person in self.people}, consents=self.consents.memory()
        )

    def happen(self, person: Person, state: str | None, *, challenge: bool = False) -> None:
        """Puts a person in a state (see people) and stores it."""
        person.happen(state, now=self.now(), challenge=challenge)
        if state == "consent_withdrawn":
            self.consents.withdraw(person.oids.values())
        self.save()

    def forget(self) -> None:
        """Resets everything: people, consents, faults, settings and counts."""
        self.faults.clear()
        self.settings.reset()
        self.people.reset()
        self.consents.clear()
        self.data.clear()
        self.items.clear()
        self.refresh_tokens.forget()
        for app in self.apps:
            app.secret_state = SecretState.VALID
            app.removed_from_tenants.clear()
        self.journal.clear()
        self.save()

    def _recall(self) -> None:
        self.consents.recall(self.memory.values.get("consents", []))
        for username, remembered in self.memory.values.get("people", {}).items():
            person = self.people.find(username)
            if person:
                person.recall(remembered)


def read_claims(text: str) -> dict[str, Any]:
    """A claims parameter (OpenID Connect Core, 5.5); empty when absent. ValueError when it is no JSON object."""
    claims = json.loads(text or "{}")
    if not isinstance(claims, dict):
        raise ValueError("claims must be an object")
    return claims


def wants_cae(claims: dict[str, Any]) -> bool:
    """Whether the client says that it understands claims challenges (capability CP1)."""
    asked = (claims.get("access_token") or {}).get("xms_cc") or {}
    return any(str(value).upper() == "CP1" for value in asked.get("values", ()))
