"""What can be done to a sample tenant from outside."""

from typing import Any

from localdev.tenant.apps import WEB_CLIENT_ID, SecretState
from localdev.tenant.consenting import Consenting
from localdev.tenant.consents import POLICIES
from localdev.tenant.faults import fault_from
from localdev.tenant.people import STATES, make, tenants_of
from localdev.tenant.tenancy import Tenancy


class Commands:
    """Raises ValueError for invalid values and EntraError for unknown people or apps."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def change_person(self, username: str, **changes: Any) -> dict[str, Any]:
        """`state` (of people.STATES; None undoes all), `continuous_access`, `roles`, `profile` (fields to change)."""
        if changes.keys() - {"state", "continuous_access", "roles", "profile"}:
            raise ValueError("a person has state, continuous_access, roles and profile")
        if changes.get("state") not in (None, *STATES):
            raise ValueError(f"state must be null or one of {', '.join(STATES)}")
        person = self._tenancy.people.get(username)
        challenge = bool(changes.get("continuous_access"))
        if "state" in changes or challenge:
            self._tenancy.happen(person, changes.get("state", person.state), challenge=challenge)
        person.roles = list(changes.get("roles", person.roles))
        person.profile |= changes.get("profile", {})
        self._tenancy.save()
        return self._shown(username)

    def add_person(self, username: str, name: str, **facts: Any) -> dict[str, Any]:
        """A new person in one of the two organisations, by the domain of their username."""
        try:
            self._tenancy.people.add(make(username, name, **facts))
        except (StopIteration, TypeError) as error:
            raise ValueError("username must be in a sample domain; facts are those of people.make") from error
        return self._shown(username)

    def people(self) -> list[dict[str, Any]]:
        """Everybody."""
        return [self._shown(person.username) for person in self._tenancy.people]

    def withdraw_consent(self, username: str, scope: str, client_id: str = WEB_CLIENT_ID) -> None:
        """Takes single scopes of one person back, as on the page of their apps. An administrator's consent stays."""
        Consenting(self._tenancy).withdraw(client_id, scope, self._tenancy.people.get(username))

    def change_tenant(self, tenant: str, *, consent: str) -> None:
        """Who may consent in a tenant, by its ID or domain: everybody, administrators or on_request (by a page that
        asks an administrator)."""
        policy = next((each for each in POLICIES if each == consent), None)
        if policy is None:
            raise ValueError(f"consent must be one of {', '.join(POLICIES)}")
        for tid in tenants_of(tenant):
            self._tenancy.consents.set_policy(tid, policy)

    def add_fault(self, **values: Any) -> None:
        """See faults.Fault."""
        self._tenancy.faults.add(fault_from(values))

    def clear_faults(self) -> None:
        """Removes all faults and resets the requests that hang."""
        self._tenancy.faults.clear()

    def change_settings(self, **changes: Any) -> dict[str, Any]:
        """See settings.TenantSettings."""
        self._tenancy.settings.change(**changes)
        return dict(vars(self._tenancy.settings))

    def change_app(self, client_id: str, **changes: Any) -> None:
        """`secret_state`: valid, expired or wrong; `removed_from_tenants`: tenant IDs."""
        app = self._tenancy.apps.get(client_id)
        if changes.keys() - {"secret_state", "removed_from_tenants"}:
            raise ValueError("an app has secret_state and removed_from_tenants")
        app.secret_state = SecretState(changes.get("secret_state", app.secret_state))
        app.removed_from_tenants = set(changes.get("removed_from_tenants", app.removed_from_tenants))

    def log(self) -> dict[str, Any]:
        """What the tenant has done; see journal."""
        return self._tenancy.journal.report()

    def reset(self) -> None:
        """Resets everything but keys and secrets."""
        self._tenancy.forget()

    def _shown(self, username: str) -> dict[str, Any]:
        person = self._tenancy.people.get(username)
        shown = {name: getattr(person, name) for name in ("username", "name", "state", "roles", "profile", "oids")}
        return shown | {"password": person.password}
