"""The one reader of the environment.

`from_environment()` returns a frozen `Settings`, or raises one `SettingsError` that lists everything that is wrong.
Each field has its name, parser and purpose here; a test compares them with docs/settings.md.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from datetime import timedelta
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from shared.errors import SettingsError
from shared.sealing import KeyRing
from shared.settings_parsers import (
    OIDC_SCOPES,
    authority_url,
    delegated_scopes,
    duration,
    graph_address,
    guids,
    https_url,
    is_guid,
    issuer_url,
    ncrontab,
    one_of,
    origins,
    positive,
    scope_name,
    storage_account,
    storage_connection,
    table_url,
    time_zone,
    words,
)

_UNRESOLVED = (
    "a Key Vault reference that did not resolve: check the secret's name, and the identity's role on the vault"
)
_MICROSOFTS_HOSTS = (
    *(".microsoftonline.com", ".microsoftonline.us", ".partner.microsoftonline.cn", ".login.windows.net"),
    *(".login.microsoft.com", ".sts.windows.net", ".ciamlogin.com", ".b2clogin.com"),
)
_MANY_TENANTS = ("organizations", "common", "consumers")


def setting(
    name: str,
    purpose: str,
    *,
    parse: Callable[[str], Any] = str.strip,
    default: str | None = None,
    secret: bool = False,
) -> Any:
    """A field of `Settings`.

    Args:
        name: the environment variable.
        purpose: one line for docs and error messages.
        parse: makes the value of the text. Raises ValueError with what is needed.
        default: parsed like a value; "" means not set; None makes the setting required.
        secret: leave the value out of the repr and, by shared/log_redaction.py, out of the log?
    """
    metadata = {"name": name, "purpose": purpose, "parse": parse, "default": default, "secret": secret}
    return field(metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The app's settings. Durations are timedeltas, URLs have no trailing slash, a text that is not set is ""."""

    client_id: str = setting("CLIENT_ID", "application (client) ID of the app registration")
    client_secret: str = setting("CLIENT_SECRET", "the app's client secret", default="", secret=True)
    client_certificate: str = setting(
        "CLIENT_CERTIFICATE",
        "instead of a secret: certificate and private key, PEM text or the path of a PEM file",
        default="",
        secret=True,
    )
    client_assertion: str = setting(
        "CLIENT_ASSERTION",
        "instead of a secret: managed-identity (a federated credential of the app registration)",
        parse=one_of("", "managed-identity"),
        default="",
    )
    authority: str = setting(
        "AUTHORITY",
        "https://login.microsoftonline.com/<tenant id>, or /organizations for many tenants; or a national cloud's",
        parse=authority_url,
        default="",
    )
    oidc_authority: str = setting(
        "OIDC_AUTHORITY", "instead of AUTHORITY: the issuer URL of any OpenID provider", parse=issuer_url, default=""
    )
    client_authentication: Literal["", "client_secret_basic", "client_secret_post"] = setting(
        "CLIENT_AUTHENTICATION",
        "how OIDC_AUTHORITY wants CLIENT_SECRET; default: what its discovery offers and its first answer accepts",
        parse=one_of("", "client_secret_basic", "client_secret_post"),
        default="",
    )
    refresh_token_rotation: Literal["", "reusable", "grace", "strict"] = setting(
        "REFRESH_TOKEN_ROTATION",
        "strict: a refresh token works once (default with OIDC_AUTHORITY); grace: and for some seconds again; "
        "reusable: it works again (default)",
        parse=one_of("", "reusable", "grace", "strict"),
        default="",
    )
    allowed_tenants: tuple[str, ...] = setting(
        "ALLOWED_TENANTS",
        "tenant IDs that may sign in, by comma; empty: whoever AUTHORITY lets in",
        parse=words,
        default="",
    )
    scopes: tuple[str, ...] = setting(
        "SCOPES", "delegated permissions to ask for, by space", parse=delegated_scopes, default="User.Read"
    )
    graph_url: str = setting(
        "GRAPH_URL",
        "Microsoft Graph; another host for a national cloud; none: there is none (default with OIDC_AUTHORITY, unless "
        "it is Microsoft's)",
        parse=graph_address,
        default="https://graph.microsoft.com",
    )
    base_url: str = setting(
        "BASE_URL", "the app's public URL, for instance https://contoso.azurewebsites.net", parse=https_url
    )
    tables_connection_string: str = setting(
        "TABLES_CONNECTION_STRING",
        "storage account of the tables; default: AzureWebJobsStorage",
        parse=storage_connection,
        default="",
        secret=True,
    )
    tables_endpoint: str = setting(
        "TABLES_ENDPOINT",
        "instead: https://<account>.table.core.windows.net, with a managed identity",
        parse=table_url,
        default="",
    )
    storage_connection_string: str = setting(
        "AzureWebJobsStorage",
        "the Functions host's storage account; its queues are used too",
        parse=storage_connection,
        default="",
        secret=True,
    )
    storage_account_name: str = setting(
        "AzureWebJobsStorage__accountName",
        "the same by name, with a managed identity",
        parse=storage_account,
        default="",
    )
    storage_table_uri: str = setting(
        "AzureWebJobsStorage__tableServiceUri", "the same by table endpoint", parse=table_url, default=""
    )
    storage_queue_uri: str = setting(
        "AzureWebJobsStorage__queueServiceUri", "the same by queue endpoint", parse=https_url, default=""
    )
    storage_client_id: str = setting(
        "AzureWebJobsStorage__clientId", "client ID of a user-assigned managed identity", default=""
    )
    key_ring: KeyRing = setting(
        "ENCRYPTION_KEYS",
        "keys that seal token caches and cookies, newest first: `python3 dev.py keys new` makes one",
        parse=KeyRing.parse,
    )
    sweep_schedule: str = setting(
        "SWEEP_SCHEDULE",
        "NCRONTAB: when the timer looks for people who are due",
        parse=ncrontab,
        default="0 */5 * * * *",
    )
    sweep_every: timedelta = setting("SWEEP_EVERY", "how often one person is swept", parse=duration, default="60m")
    absent_after: timedelta = setting(
        "ABSENT_AFTER", "a person who made no request for so long counts as away", parse=duration, default="5m"
    )
    sweep_concurrency: int = setting(
        "SWEEP_CONCURRENCY", "token requests at the same time in one process", parse=positive, default="64"
    )
    sweep_fanout: Literal["inline", "queue"] = setting(
        "SWEEP_FANOUT",
        "inline: the timer sweeps; queue: it puts one message per due slot on a queue",
        parse=one_of("inline", "queue"),
        default="inline",
    )
    time_zone: str = setting(
        "TIME_ZONE", "time zone of people who chose none, for instance Europe/Berlin", parse=time_zone, default="UTC"
    )
    admin_role: str = setting("ADMIN_ROLE", "app role whose holders see everybody's state", default="")
    operator_tenants: tuple[str, ...] = setting(
        "OPERATOR_TENANTS",
        "tenant IDs that operators belong to, by comma; needed when AUTHORITY is for many tenants",
        parse=guids,
        default="",
    )
    operator_scope: str = setting(
        "OPERATOR_SCOPE",
        "scope that bearer tokens for operators' documents must carry; api://<client id>/Operators.Read will do too",
        parse=scope_name,
        default="Operators.Read",
    )
    operator_clients: tuple[str, ...] = setting(
        "OPERATOR_CLIENTS",
        "client IDs whose bearer tokens may read operators' documents, by comma; empty: any",
        parse=guids,
        default="",
    )
    api_scope: str = setting(
        "API_SCOPE",
        "scope that bearer tokens for /api must carry; api://<client id>/access_as_user is accepted too",
        parse=scope_name,
        default="access_as_user",
    )
    cors_origins: tuple[str, ...] = setting(
        "CORS_ORIGINS",
        "origins whose scripts may call /api, by space, for instance https://app.contoso.com; empty: none",
        parse=origins,
        default="",
    )
    retention: timedelta = setting(
        "RETENTION", "a row without a usable token is deleted after this time", parse=duration, default="90d"
    )
    session_idle: timedelta = setting(
        "SESSION_IDLE", "a browser session ends after so long without a request", parse=duration, default="1h"
    )
    session_absolute: timedelta = setting(
        "SESSION_ABSOLUTE", "a browser session ends after so long, whatever happens", parse=duration, default="12h"
    )
    ca_bundle: str = setting(
        "REQUESTS_CA_BUNDLE", "PEM file of certificate authorities to trust; default: certifi's", default=""
    )
    ssl_cert_file: str = setting("SSL_CERT_FILE", "the same, when REQUESTS_CA_BUNDLE is not set", default="")
    handler_threads: str = setting(
        "PYTHON_THREADPOOL_THREAD_COUNT",
        "handlers that one process runs at a time; leave it unset: the Functions host then takes 1000",
        default="",
    )
    of_tasks: Mapping[str, str] = field(default_factory=dict, repr=False)  # the tasks' own, by name

    @property
    def rotation(self) -> str:
        """How often a refresh token works: `strict`, `grace` or `reusable`."""
        return self.refresh_token_rotation or ("strict" if self.oidc_authority else "reusable")

    @property
    def strict_rotation(self) -> bool:
        """Must a refresh token be redeemed once only?"""
        return self.rotation != "reusable"

    @property
    def repeats_refreshes(self) -> bool:
        """May a refresh be sent once more, at once, when the connection broke? The provider may have redeemed the token
        already; one with a grace period accepts it again then."""
        return self.rotation in ("reusable", "grace")

    @property
    def authority_host(self) -> str:
        """The host of the identity provider, without a port: what MSAL calls `environment` in a token cache."""
        return urlsplit(self.authority or self.oidc_authority).hostname or ""

    @property
    def oidc_is_microsofts(self) -> bool:
        """Is OIDC_AUTHORITY an address of Microsoft Entra ("Microsoft Entra authentication and national clouds"), of
        External ID (ciamlogin.com) or of Azure AD B2C (b2clogin.com)?"""
        return f".{urlsplit(self.oidc_authority).hostname or ''}".endswith(_MICROSOFTS_HOSTS)

    @property
    def multi_tenant(self) -> bool:
        """Does AUTHORITY admit people of more than one tenant?"""
        return urlsplit(self.authority).path.strip("/").lower() in _MANY_TENANTS

    def admits(self, tenant_id: str) -> bool:
        """May people of this tenant use the app?"""
        return not self.allowed_tenants or tenant_id.lower() in self.allowed_tenants

    @property
    def lacks_operator_tenants(self) -> bool:
        """Are there operators, and is it unknown of which tenants? Then operators' routes are closed."""
        return bool(self.admin_role) and not self.operator_tenants and self._signs_in_many_tenants

    def admits_operators_of(self, tenant_id: str) -> bool:
        """May people of this tenant be operators, if they have the role?

        The administrators of any tenant that signs in here can assign the role to their own people. So a list decides,
        or AUTHORITY does, when it is for one tenant. Its ID is compared, as a session can be older than AUTHORITY.
        """
        if self.operator_tenants:
            return tenant_id.lower() in self.operator_tenants
        own = urlsplit(self.authority).path.strip("/").lower()
        return tenant_id.lower() == own if is_guid(own) else not self._signs_in_many_tenants

    @property
    def _signs_in_many_tenants(self) -> bool:
        """`multi_tenant`, or Entra's address for many tenants as OIDC_AUTHORITY."""
        url = urlsplit(self.authority or self.oidc_authority)
        return url.path.strip("/").partition("/")[0].lower() in _MANY_TENANTS

    @property
    def secure_cookies(self) -> bool:
        """Is the app reached over https?"""
        return self.base_url.startswith("https://")

    @property
    def redirect_uri(self) -> str:
        """The redirect URI, to be registered for the app exactly like this."""
        return f"{self.base_url}/signin/callback"


def from_environment(*, of_tasks: Iterable[str] = (), problems: Iterable[str] = ()) -> Settings:
    """Reads the settings of this process. The arguments are those of `load`. Raises SettingsError."""
    return load(os.environ, of_tasks=of_tasks, problems=problems)


def load(environ: Mapping[str, str], *, of_tasks: Iterable[str] = (), problems: Iterable[str] = ()) -> Settings:
    """The settings in `environ`.

    Args:
        of_tasks: names of settings that belong to tasks.
        problems: what else keeps the app from starting, to be reported in the same error.

    Raises:
        SettingsError: one line per setting that is missing or malformed, or contradicts another.
    """
    problems = list(problems)
    values: dict[str, Any] = {"of_tasks": {name: environ.get(name, "").strip() for name in of_tasks}}
    problems += [f"{name}: {_UNRESOLVED}" for name, text in values["of_tasks"].items() if _is_reference(text)]
    for each in _declared():
        try:
            values[each.name] = _parsed(each, environ.get(each.metadata["name"], "").strip())
        except ValueError as error:
            problems.append(f"{each.metadata['name']}: {error} ({each.metadata['purpose']})")
    problems += _contradictions(environ)
    if problems:
        raise SettingsError(problems)
    settings = Settings(**values)
    if settings.oidc_authority and not settings.oidc_is_microsofts and not environ.get("GRAPH_URL", "").strip():
        return replace(settings, graph_url="")  # another provider's access tokens are none of Microsoft's business
    return settings


def _declared() -> list[Field[Any]]:
    """The fields that are settings of the app."""
    return [each for each in fields(Settings) if "name" in each.metadata]


def _is_reference(text: str) -> bool:
    return text.startswith("@Microsoft.KeyVault(")


def _parsed(each: Field[Any], text: str) -> Any:
    """The value of one setting. Raises ValueError."""
    if _is_reference(text):
        raise ValueError(_UNRESOLVED)
    default = cast("str | None", each.metadata["default"])
    text = text or (default or "")
    if not text:
        if default is None:
            raise ValueError("missing")
        return () if each.type == tuple[str, ...] else ""
    return each.metadata["parse"](text)


def _contradictions(environ: Mapping[str, str]) -> list[str]:
    """What is wrong with settings of which exactly one, or at least one, is needed."""

    def given(*names: str) -> list[str]:
        return [name for name in names if environ.get(name, "").strip()]

    problems = []
    if len(given("CLIENT_SECRET", "CLIENT_CERTIFICATE", "CLIENT_ASSERTION")) != 1:
        problems.append("CLIENT_SECRET, CLIENT_CERTIFICATE, CLIENT_ASSERTION: set exactly one of them")
    if len(given("AUTHORITY", "OIDC_AUTHORITY")) != 1:
        problems.append("AUTHORITY, OIDC_AUTHORITY: set exactly one of them")
    elif given("AUTHORITY") and given("SCOPES") and set(words(environ["SCOPES"])) <= OIDC_SCOPES:
        problems.append("SCOPES: name at least one permission, for instance User.Read")
    if not given(
        "TABLES_CONNECTION_STRING",
        "TABLES_ENDPOINT",
        "AzureWebJobsStorage",
        "AzureWebJobsStorage__accountName",
        "AzureWebJobsStorage__tableServiceUri",
    ):
        problems.append(
            "AzureWebJobsStorage: missing (a storage account's connection string; Azurite: UseDevelopmentStorage=true)"
        )
    return problems


def documented() -> list[tuple[str, str, str]]:
    """Name, default ("" for none; "required") and purpose of every setting, for docs and tests."""
    rows = []
    for each in _declared():
        default = each.metadata["default"]
        rows.append((each.metadata["name"], "required" if default is None else default, each.metadata["purpose"]))
    return rows
