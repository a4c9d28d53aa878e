"""Scopes: the resource of a scope, its words for a person, and its spelling in an answer."""

from collections.abc import Iterable, Mapping
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
    "Mail.ReadBasic": "Read your mail without its bodies",
    "Mail.Read": "Read your mail",
    "Mail.ReadWrite": "Read and change your mail",
    "Mail.Send": "Send mail as you",
    "MailboxSettings.Read": "Read your mailbox settings",
    "Presence.Read": "Read your presence",
    "Tasks.Read": "Read your tasks",
    "Tasks.ReadWrite": "Read and change your tasks",
}
# Of the app's own API.
ON_API = {
    API_SCOPE: "Act for you at this app's own API",
    OPERATOR_SCOPE: "Read this app's list of people",
}
# Of the sample API. One has the name of a Graph scope: a scope belongs to its resource.
ON_SAMPLE_API = {
    "Items.Read": "Read your items at the sample API",
    "Items.ReadWrite": "Read and change your items at the sample API",
    "User.Read": "Read your profile at the sample API",
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
    """Reads scope strings. `graphs` are further roots of the sample Graph; `apis` has, by client ID, the scopes that an
    API exposes, in words."""

    def __init__(self, graphs: Iterable[str], apis: Mapping[str, Mapping[str, str]]) -> None:
        self._graphs = (*GRAPHS, *graphs)
        self._apis = apis

    def is_graph(self, resource: str) -> bool:
        """Whether a token for this resource is for Graph."""
        return resource in self._graphs

    def read(self, text: str, *, unknown: int = 650053) -> Asked:
        """Raises EntraError with the code `unknown` for a scope that its resource doesn't have, and AADSTS70011 for
        .default beside other scopes ("Scopes and permissions in the Microsoft identity platform")."""
        words = dict.fromkeys(text.split())
        oidc = tuple(word for word in words if word in OIDC)
        api = tuple(self._one(word, unknown) for word in words if word not in OIDC)
        if len(api) > 1 and any(each.name == DEFAULT for each in api):
            raise refuse(70011, scope=text)
        return Asked(oidc, api)

    def words(self, key: str) -> str:
        """The text for a scope key on the consent page."""
        resource, _, name = key.rpartition("/")
        return self._exposed(resource)[name] if resource else OIDC[name]

    def _one(self, word: str, unknown: int) -> Scope:
        prefix, _, name = word.rpartition("/")
        resource = self._resource(prefix)
        if name != DEFAULT and name not in self._exposed(resource):
            raise refuse(unknown, scope=word)
        return Scope(resource, name, prefix + "/" if prefix else "")

    def _exposed(self, resource: str) -> Mapping[str, str]:
        return ON_GRAPH if self.is_graph(resource) else self._apis[resource]

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
