"""What a person must consent to before an app gets what it asked for."""

from localdev.tenant.apps import App
from localdev.tenant.people import Person
from localdev.tenant.scopes import API_SCOPE, DEFAULT, GRAPH, OIDC, ON_API, ON_GRAPH, Asked, Scope
from localdev.tenant.tenancy import Tenancy


class Consenting:
    """Compares requested scopes with consented ones, and records new consents."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def missing(self, client_id: str, scope: str, person: Person, tid: str) -> bool:
        """Whether a requested scope lacks consent."""
        asked = self._asked(client_id, scope)
        consents = self._tenancy.consents
        return any(keys - consents.of(app_id, person.oids[tid]) for app_id, keys in asked.items())

    def give(self, client_id: str, scope: str, person: Person, tid: str) -> None:
        """Records that the person consents to all of it."""
        for app_id, keys in self._asked(client_id, scope).items():
            self._tenancy.consents.give(app_id, person.oids[tid], keys)
        if person.state == "consent_withdrawn":
            person.state = None
        self._tenancy.save()

    def words(self, client_id: str, scope: str) -> list[str]:
        """What the consent page lists."""
        keys = set().union(*self._asked(client_id, scope).values())
        names = sorted(key.rpartition("/")[2] for key in keys)
        return [known[name] for known in (ON_GRAPH, ON_API, OIDC) for name in names if name in known]

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
        names = app.permissions if self._tenancy.scopes.is_graph(scope.resource) else (API_SCOPE,)
        return {f"{scope.resource}/{name}" for name in names}

    def _apis(self, asked: Asked) -> list[App]:
        resources = {each.resource for each in asked.api}
        return [app for app in self._tenancy.apps if app.client_id in resources]
