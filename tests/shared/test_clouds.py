"""Token caches that name another host of a Microsoft cloud, as MSAL.NET writes them."""

import base64
import json
from typing import Any

import pytest
from msal import SerializableTokenCache

from shared.accounts import Account, Outcome
from shared.clients.answers import HttpAnswer
from shared.clients.http import HttpClient
from shared.identity import Acquired, Identity
from shared.identity.clouds import cloud_of
from shared.identity.token_caches import deserialize
from shared.settings import Settings, load

TENANT, CLIENT_ID = "3f0c1a52-7a43-4c1e-9d55-6b1f0c0a0001", "c0a5b1de-4f2b-4d0e-9a11-7e5f3a0c0001"
OWNER = f"u.{TENANT}"


class Entra(HttpClient):
    """The far end: any Microsoft host describes itself and renews every refresh token."""

    def request(self, method: str, url: str, **_: Any) -> HttpAnswer:
        """Discovery, or a token answer."""
        base = url.split("/v2.0", maxsplit=1)[0].split("/oauth2", maxsplit=1)[0]
        document: dict[str, Any] = {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }
        if method == "POST":
            document = {"access_token": "a", "refresh_token": "r2", "expires_in": 3600, "token_type": "Bearer"}
            document |= {"scope": "User.Read", "client_info": encoded({"uid": "u", "utid": TENANT})}
        return HttpAnswer(200, {}, json.dumps(document).encode())


def encoded(content: dict[str, str]) -> str:
    """JSON in base64url without padding."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def cache_under(host: str) -> str:
    """A cache with an account and its refresh token, filed under this host (MSAL's unified schema)."""
    owned = {"home_account_id": OWNER, "environment": host}
    return json.dumps(
        {
            "Account": {
                f"{OWNER}-{host}-{TENANT}": {
                    **owned,
                    "realm": TENANT,
                    "local_account_id": "u",
                    "username": "ada@contoso.example",
                    "authority_type": "MSSTS",
                }
            },
            "RefreshToken": {
                f"{OWNER}-{host}-refreshtoken-{CLIENT_ID}--": {
                    **owned,
                    "client_id": CLIENT_ID,
                    "credential_type": "RefreshToken",
                    "secret": "r1",
                }
            },
        }
    )


def settings_of(host: str) -> Settings:
    """The app's settings with this authority."""
    return load(
        {
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": "secret",
            "AUTHORITY": f"https://{host}/{TENANT}",
            "BASE_URL": "http://localhost:7071",
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",
            "ENCRYPTION_KEYS": "k1:" + base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("="),
        }
    )


def acquire(authority_host: str, cache_host: str) -> tuple[Acquired, Settings]:
    """One silent acquisition by an app with this authority, for a cache that names that host."""
    settings = settings_of(authority_host)
    sealed = settings.key_ring.seal_cache(cache_under(cache_host), OWNER)
    account = Account(account_id=OWNER, tenant_id=TENANT, scopes=("User.Read",), sealed_cache=sealed)
    acquisition = Identity(settings, Entra()).acquisition(account)
    if acquisition.prepare():
        acquisition.send()
    return acquisition.complete(), settings


@pytest.mark.parametrize(
    ("authority", "cache"),
    [
        ("login.microsoftonline.com", "login.windows.net"),
        ("login.microsoftonline.com", "sts.windows.net"),
        ("login.microsoftonline.com", "Login.Windows.Net"),
        ("login.microsoftonline.us", "login.usgovcloudapi.net"),
        ("login.partner.microsoftonline.cn", "login.chinacloudapi.cn"),
    ],
)
def test_a_cache_that_names_another_host_of_the_same_cloud_is_ours(authority: str, cache: str) -> None:
    """MSAL.NET with its default instance discovery files everything under its preferred cache host."""
    result, settings = acquire(authority, cache)
    assert result.verdict.outcome is Outcome.FRESH
    assert result.sealed_cache is not None
    kept = json.loads(settings.key_ring.open_cache(result.sealed_cache, OWNER))
    assert {entry["environment"] for section in kept.values() for entry in section.values()} == {authority}


@pytest.mark.parametrize(
    ("authority", "cache", "code"),
    [
        ("login.microsoftonline.com", "login.microsoftonline.us", "other_cloud"),
        ("login.microsoftonline.com", "login.example.com", "other_host"),
        ("login.example.com", "login.windows.net", "other_host"),
    ],
)
def test_a_cache_of_another_cloud_or_host_says_so(authority: str, cache: str, code: str) -> None:
    """The settings are to blame, and the person is left alone."""
    verdict = acquire(authority, cache)[0].verdict
    assert (verdict.outcome, verdict.code) == (Outcome.MISCONFIGURED, code)


def test_no_host_is_in_two_clouds() -> None:
    """An alias leads to one cloud."""
    assert cloud_of("login.windows.net") == cloud_of("login.microsoftonline.com")
    assert cloud_of("login.example.com") == ()


@pytest.mark.parametrize("newer", ["login.windows.net", "login.microsoftonline.com"])
def test_of_two_refresh_tokens_under_two_hosts_of_a_cloud_the_newer_counts(newer: str) -> None:
    """With strict rotation the older one is dead."""
    hosts = ("login.windows.net", "login.microsoftonline.com")
    both: dict[str, dict[str, dict[str, str]]] = {"RefreshToken": {}}
    for host in hosts:
        ((key, token),) = json.loads(cache_under(host))["RefreshToken"].items()
        times = {"last_modification_time": "200" if host == newer else "100", "secret": host}
        both["RefreshToken"][key] = token | times
    cache = SerializableTokenCache()
    deserialize(cache, json.dumps(both), host="login.microsoftonline.com")
    assert [entry["secret"] for entry in cache.search("RefreshToken")] == [newer]
