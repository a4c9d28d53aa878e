"""Scopes: the resource of a scope, its words for a person, and its spelling in an answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from localdev.tenant.errors import refuse

GRAPH = "https://graph.microsoft.com"
# National clouds: Microsoft's page "Microsoft Graph national cloud deployments".
GRAPHS = (
    GRAPH,
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
)
API_SCOPE = "access_as_user"
OPERATOR_SCOPE = "Operators.Read"
DEFAULT = ".default"

OIDC = {
    "openid": "Sign you in",
    "profile": "See your name and username",
    "email": "See your email address",
    "offline_access": "Keep the access that you gave, also while you are away",
}
ON_GRAPH = {
    "User.Read": "Read your profile",
    "User.ReadWrite": "Read and change your profile",
    "User.ReadBasic.All": "Read basic profiles of everybody in your organisation",
    "Calendars.Read": "Read your calendars",
    "Calendars.ReadBasic": "Read basic details of your calendars",
    "Calendars.ReadWrite": "Read and change your calendars",
    "Contacts.Read": "Read your contacts",
    "Files.Read": "Read your files",
    "Mail.Read": "Read your mail",
    "Mail.Send": "Send mail as you",
    "MailboxSettings.Read": "Read your mailbox settings",
    "Presence.Read": "Read your presence",
    "Tasks.Read": "Read your tasks",
}
# Of the app's own API.
ON_API = {
    API_SCOPE: "Act for you at this app's own API",
    OPERATOR_SCOPE: "Read this app's list of people",
}


@dataclass(frozen=True)
class Scope:
    """One scope of one resource: a Graph root or a client ID. `prefix` is how the request wrote it, often nothing."""

    resource: str
    name: str
    prefix: str = ""

    @property
    def key(self) -> str:
        """The key under which consent is stored, whatever the spelling."""
        return f"{self.resource}/{self.name}"

    @property
    def words(self) -> str:
        """The text on the consent page."""
        return ON_GRAPH.get(self.name) or ON_API.get(self.name, ON_API[API_SCOPE])


@dataclass(frozen=True)
class Asked:
    """What a request asked for."""

    oidc: tuple[str, ...]
    api: tuple[Scope, ...]

    @property
    def keys(self) -> set[str]:
        """Everything that needs consent."""
        return set(self.oidc) | {scope.key for scope in self.api}

    def resource(self) -> str:
        """The one resource of a token request: Graph when it names none. Raises AADSTS28000 when it names several."""
        resources = {scope.resource for scope in self.api} or {GRAPH}
        if len(resources) > 1:
            raise refuse(28000)
        return resources.pop()


class ScopeReader:
    """Reads scope strings. `graphs` are further roots of the sample Graph, `apis` client IDs that expose an API."""

    def __init__(self, graphs: Iterable[str], apis: Iterable[str]) -> None:
        self._graphs = (*GRAPHS, *graphs)
        self._apis = frozenset(apis)

    def is_graph(self, resource: str) -> bool:
        """Whether a token for this resource is for Graph."""
        return resource in self._graphs

    def read(self, text: str, *, unknown: int = 650053) -> Asked:
        """Raises EntraError with the code `unknown` for a scope that its resource doesn't have."""
        words = dict.fromkeys(text.split())
        oidc = tuple(word for word in words if word in OIDC)
        return Asked(oidc, tuple(self._one(word, unknown) for word in words if word not in OIDC))

    def _one(self, word: str, unknown: int) -> Scope:
        prefix, _, name = word.rpartition("/")
        resource = self._resource(prefix)
        known = ON_GRAPH if resource in self._graphs else ON_API
        if name != DEFAULT and name not in known:
            raise refuse(unknown, scope=word)
        return Scope(resource, name, prefix + "/" if prefix else "")

    def _resource(self, prefix: str) -> str:
        plain = prefix.rstrip("/")
        if not plain:
            return GRAPH
        if plain in self._graphs:
            return plain
        client_id = plain.removeprefix("api://")
        if client_id in self._apis:
            return client_id
        raise refuse(500011, resource=plain)
