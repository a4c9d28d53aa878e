"""What a person must consent to before an app gets what it asked for, and whether they may."""

from localdev.tenant.apps import App
from localdev.tenant.errors import EntraError, refuse
from localdev.tenant.people import Person
from localdev.tenant.scopes import DEFAULT, GRAPH, OIDC, Asked, Scope
from localdev.tenant.tenancy import Tenancy

_REFUSED = {"administrators": 90094, "on_request": 90095}


class Consenting:
    """Compares requested scopes with consented ones, and records new consents."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def missing(self, client_id: str, scope: str, person: Person, tid: str) -> bool:
        """Whether a requested scope lacks consent."""
        asked = self._asked(client_id, scope)
        consents = self._tenancy.consents
        return any(keys - consents.of(app_id, person.oids[tid], tid) for app_id, keys in asked.items())

    def refusal(
        self, client_id: str, scope: str, person: Person, tid: str, *, anyway: bool = False
    ) -> EntraError | None:
        """Why the person may not give what is missing: the tenant wants an administrator to (AADSTS90094, 90095).

        Sources: "Unexpected error when performing consent to an application"; for `anyway` (prompt=consent asks also
        when nothing is missing) "Unexpected consent prompt when signing in to an application".
        """
        code = _REFUSED.get(self._tenancy.consents.policy(tid))
        home_administrator = person.administrator and tid == person.home
        if code is None or home_administrator or not (anyway or self.missing(client_id, scope, person, tid)):
            return None
        return refuse(code, client=self._tenancy.apps.get(client_id).name)

    def give(self, client_id: str, scope: str, person: Person, tid: str) -> None:
        """Records that the person consents to all of it."""
        for app_id, keys in self._asked(client_id, scope).items():
            self._tenancy.consents.give(app_id, person.oids[tid], keys)
        if person.state == "consent_withdrawn":
            person.state = None
        self._tenancy.save()

    def give_for_everybody(self, client_id: str, scope: str, tid: str) -> None:
        """Records an administrator's consent to all of it for the whole tenant, with the scopes of OpenID Connect."""
        for app_id, keys in self._asked(client_id, scope).items():
            self._tenancy.consents.give(app_id, tid, keys | set(OIDC))
        self._tenancy.save()

    def withdraw(self, client_id: str, scope: str, person: Person) -> None:
        """Takes single scopes of a person back, in all their tenants. Tokens that are out keep them until they end."""
        keys = self._tenancy.scopes.read(scope).keys
        self._tenancy.consents.withdraw(person.oids.values(), client_id, keys)
        self._tenancy.save()

    def words(self, client_id: str, scope: str) -> list[str]:
        """What the consent page lists."""
        keys = set().union(*self._asked(client_id, scope).values())
        return [self._tenancy.scopes.words(key) for key in sorted(keys, key=lambda key: (key in OIDC, key))]

    def _asked(self, client_id: str, scope: str) -> dict[str, set[str]]:
        """Scope keys by client ID: the app's own, and those of an API that lists the app as a known client."""
        asked = self._tenancy.scopes.read(scope)
        app = self._tenancy.apps.get(client_id)
        keys = {client_id: set(asked.oidc) | {key for each in asked.api for key in self._keys(app, each)}}
        for api in self._apis(asked):
            if client_id in api.known_clients:
                keys[api.client_id] = set(OIDC) | {f"{GRAPH}/{name}" for name in api.permissions}
        return keys

    def _keys(self, app: App, scope: Scope) -> set[str]:
        if scope.name != DEFAULT:
            return {scope.key}
        graph = self._tenancy.scopes.is_graph(scope.resource)
        names = app.permissions if graph else app.api_permissions.get(scope.resource, ())
        return {f"{scope.resource}/{name}" for name in names}

    def _apis(self, asked: Asked) -> list[App]:
        resources = {each.resource for each in asked.api}
        return [app for app in self._tenancy.apps if app.client_id in resources]
