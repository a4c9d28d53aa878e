"""One reader of the environment: it lists everything that is wrong and how to set it, and never shows a value."""

from datetime import timedelta

import pytest

from shared.errors import SettingsError
from shared.settings import Settings, load
from tests.shared.good_settings import GOOD

TWICE = f"k1:{'A' * 43}"


def problems(**changes: str) -> tuple[str, ...]:
    """What is wrong with these settings."""
    with pytest.raises(SettingsError) as caught:
        load(GOOD | changes)
    return caught.value.problems


def test_defaults_are_as_documented() -> None:
    """The rest can be left out."""
    settings = load(GOOD)
    assert settings.scopes == ("User.Read",)
    assert settings.graph_url == "https://graph.microsoft.com"
    assert (settings.sweep_every, settings.absent_after) == (timedelta(hours=1), timedelta(minutes=5))
    assert (settings.sweep_concurrency, settings.sweep_fanout) == (64, "inline")
    assert settings.retention == timedelta(days=90)
    assert settings.base_url == "https://contoso.azurewebsites.net"
    assert settings.redirect_uri == "https://contoso.azurewebsites.net/signin/callback"
    assert settings.secure_cookies
    assert not settings.strict_rotation
    assert not settings.multi_tenant


def test_everything_that_is_missing_is_listed_at_once() -> None:
    """An empty environment raises one error with one line per setting."""
    with pytest.raises(SettingsError) as caught:
        load({})
    text = str(caught.value)
    for name in ("CLIENT_ID", "CLIENT_SECRET", "AUTHORITY", "BASE_URL", "AzureWebJobsStorage", "ENCRYPTION_KEYS"):
        assert name in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTHORITY", "http://login.microsoftonline.com/x"),
        ("AUTHORITY", "https://login.microsoftonline.com"),
        ("BASE_URL", "http://contoso.azurewebsites.net"),
        ("BASE_URL", "contoso.azurewebsites.net"),
        ("GRAPH_URL", "https://user@graph.microsoft.com"),
        ("SCOPES", "openid profile offline_access"),
        ("ENCRYPTION_KEYS", "k1"),
        ("ENCRYPTION_KEYS", "k1:c2hvcnQ"),
        ("ENCRYPTION_KEYS", f"{TWICE},{TWICE}"),
        ("SWEEP_SCHEDULE", "*/5 * * * *"),
        ("SWEEP_EVERY", "0m"),
        ("SWEEP_EVERY", "soon"),
        ("ABSENT_AFTER", "-5m"),
        ("SWEEP_CONCURRENCY", "0"),
        ("SWEEP_CONCURRENCY", "many"),
        ("SWEEP_FANOUT", "both"),
        ("REFRESH_TOKEN_ROTATION", "maybe"),
        ("CLIENT_ASSERTION", "yes"),
        ("OPERATOR_TENANTS", "contoso.example"),
        ("OPERATOR_CLIENTS", "desktop"),
        ("OPERATOR_SCOPE", "Operators Read"),
        ("CLIENT_SECRET", "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)"),
    ],
)
def test_a_malformed_value_is_named(name: str, value: str) -> None:
    """The error has the setting's name and what is allowed."""
    assert [each for each in problems(**{name: value}) if name in each]


def test_no_problem_shows_a_value() -> None:
    """A secret may have been put in the wrong setting."""
    misplaced = "hunter2-hunter2"
    shown = [name for name in GOOD if misplaced in " ".join(problems(**{name: misplaced, "SCOPES": "openid"}))]
    assert shown == []


def test_a_key_vault_reference_that_did_not_resolve_says_so() -> None:
    """It arrives as its literal text."""
    (found,) = problems(CLIENT_SECRET="@Microsoft.KeyVault(VaultName=v;SecretName=s)")
    assert "Key Vault" in found


@pytest.mark.parametrize(
    "changes",
    [
        {"CLIENT_CERTIFICATE": "/x.pem"},
        {"CLIENT_SECRET": ""},
        {"OIDC_AUTHORITY": "https://id.example/realm"},
        {"AUTHORITY": ""},
        {"AzureWebJobsStorage": ""},
    ],
    ids=["two credentials", "no credential", "two authorities", "no authority", "no storage"],
)
def test_contradictions_are_refused(changes: dict[str, str]) -> None:
    """Exactly one credential, exactly one authority, some storage."""
    assert len(problems(**changes)) == 1


def test_openid_connect_s_own_scopes_are_taken_out() -> None:
    """MSAL adds them and refuses them from us."""
    settings = load(GOOD | {"SCOPES": "openid, User.Read Mail.Read,offline_access User.Read"})
    assert settings.scopes == ("User.Read", "Mail.Read")


def test_rotation_follows_the_provider_unless_it_is_set() -> None:
    """Entra's refresh tokens stay valid; a plain provider's may not."""
    plain = GOOD | {"AUTHORITY": "", "OIDC_AUTHORITY": "https://id.example/realm"}
    assert load(plain).strict_rotation
    assert not load(plain | {"REFRESH_TOKEN_ROTATION": "reusable"}).strict_rotation
    assert load(GOOD | {"REFRESH_TOKEN_ROTATION": "strict"}).strict_rotation


@pytest.mark.parametrize("tenant", ["organizations", "common"])
def test_authorities_for_many_tenants_are_known(tenant: str) -> None:
    """There `misconfigured` skips a tenant instead of stopping the sweep."""
    assert load(GOOD | {"AUTHORITY": f"https://login.microsoftonline.com/{tenant}"}).multi_tenant


ONE, OTHER = (f"00000000-0000-0000-0000-00000000000{digit}" for digit in "ab")
ENTRA = "https://login.microsoftonline.com"


def test_tenants_are_compared_in_any_case() -> None:
    """An ID may be copied from anywhere, and a token may spell it otherwise."""
    settings = load(GOOD | {"ALLOWED_TENANTS": ONE.upper(), "OPERATOR_TENANTS": ONE.upper()})
    for tenant_id in (ONE, ONE.upper()):
        assert settings.admits(tenant_id)
        assert settings.admits_operators_of(tenant_id)
    assert not settings.admits(OTHER)
    assert not settings.admits_operators_of(OTHER)


@pytest.mark.parametrize(
    ("authority", "closed"),
    [
        ({"AUTHORITY": f"{ENTRA}/organizations"}, True),
        ({"AUTHORITY": f"{ENTRA}/Common/"}, True),
        ({"AUTHORITY": f"{ENTRA}/consumers"}, True),
        ({"AUTHORITY": f"{ENTRA}/contoso.example"}, False),
        ({"AUTHORITY": f"{ENTRA}/{ONE}"}, False),
        ({"AUTHORITY": "", "OIDC_AUTHORITY": f"{ENTRA}/organizations/v2.0"}, True),
        ({"AUTHORITY": "", "OIDC_AUTHORITY": "https://id.example/realms/common"}, False),
    ],
)
def test_operators_tenants_are_needed_where_many_sign_in(authority: dict[str, str], closed: bool) -> None:
    """By Entra's addresses for many tenants. With a list, or without operators, nothing is missing."""
    environment = GOOD | authority | {"ADMIN_ROLE": "Operator"}
    settings = load(environment)
    assert settings.lacks_operator_tenants is closed
    assert settings.admits_operators_of(ONE) is not closed
    assert not load(environment | {"OPERATOR_TENANTS": ONE}).lacks_operator_tenants
    assert not load(environment | {"ADMIN_ROLE": ""}).lacks_operator_tenants


def test_storage_by_managed_identity_needs_no_connection_string() -> None:
    """By account name, or by endpoint."""
    for name, value in (
        ("AzureWebJobsStorage__accountName", "contoso"),
        ("AzureWebJobsStorage__tableServiceUri", "https://contoso.table.core.windows.net"),
        ("TABLES_ENDPOINT", "https://contoso.table.core.windows.net"),
    ):
        assert isinstance(load(GOOD | {"AzureWebJobsStorage": "", name: value}), Settings)


def test_no_secret_shows_in_a_representation() -> None:
    """Settings can appear in tracebacks."""
    text = repr(load(GOOD))
    assert GOOD["CLIENT_SECRET"] not in text
    assert GOOD["ENCRYPTION_KEYS"].split(":")[1] not in text


PLAIN = {"AUTHORITY": "", "OIDC_AUTHORITY": "https://login.example"}


def test_an_openid_provider_needs_no_path_and_no_graph() -> None:
    """The form of Google's, Auth0's and Okta's issuers. Their tokens are not for Microsoft Graph, unless it is set."""
    settings = load(GOOD | PLAIN | {"SCOPES": "openid profile offline_access"})
    assert (settings.oidc_authority, settings.scopes, settings.graph_url) == ("https://login.example", (), "")
    assert load(GOOD | {"OIDC_AUTHORITY": "https://login.example/"} | {"AUTHORITY": ""}).oidc_authority == (
        "https://login.example"
    )
    assert load(GOOD | PLAIN | {"GRAPH_URL": "https://graph.example"}).graph_url == "https://graph.example"


@pytest.mark.parametrize("host", ["login.microsoftonline.com", "contoso.ciamlogin.com", "contoso.b2clogin.com"])
def test_microsofts_own_providers_keep_microsoft_graph(host: str) -> None:
    """Deployments that use them as OIDC_AUTHORITY keep working."""
    settings = load(GOOD | {"AUTHORITY": "", "OIDC_AUTHORITY": f"https://{host}/t/v2.0"})
    assert settings.graph_url == "https://graph.microsoft.com"


def test_graph_can_be_left_out() -> None:
    """By a word, as an empty setting means the default."""
    assert load(GOOD | {"GRAPH_URL": "none"}).graph_url == ""


def test_entra_needs_a_permission() -> None:
    """OpenID Connect's own scopes belong to no resource."""
    with pytest.raises(SettingsError, match="SCOPES: name at least one permission"):
        load(GOOD | {"SCOPES": "openid email offline_access"})


@pytest.mark.parametrize(
    ("rotation", "strict", "repeats"),
    [("", True, False), ("strict", True, False), ("grace", True, True), ("reusable", False, True)],
)
def test_a_grace_period_allows_a_second_try_and_nothing_else(rotation: str, strict: bool, repeats: bool) -> None:
    """Leases are held as with strict rotation."""
    settings = load(GOOD | PLAIN | {"REFRESH_TOKEN_ROTATION": rotation})
    assert (settings.strict_rotation, settings.repeats_refreshes) == (strict, repeats)
