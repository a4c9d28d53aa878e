"""Reads and prunes a person's MSAL token cache."""

import json
from collections.abc import Sequence
from typing import Any

from msal import SerializableTokenCache

from shared.identity.clouds import cloud_of
from shared.token_cache_schema import check_token_cache

CredentialType = SerializableTokenCache.CredentialType
_TOKEN_OWNER = ("home_account_id", "environment", "client_id", "realm")


def deserialize(cache: SerializableTokenCache, text: str, *, host: str = "") -> None:
    """Fills `cache` from `text`.

    Args:
        host: the authority's. Entries under another host of the same cloud are moved to this one: MSAL.NET writes
            `login.windows.net`, and MSAL for Python without instance discovery searches the authority's host only.

    Raises:
        ValueError: the text is no token cache in MSAL's schema (`check_token_cache`).
    """
    check_token_cache(text)
    aliases = set(cloud_of(host)) - {host}
    if aliases and any(alias in text.lower() for alias in aliases):
        content = json.loads(text)
        for section in content.values():
            for key, entry in list(section.items()):
                named = str(entry.get("environment", ""))
                if named.lower() in aliases:
                    del section[key]
                    ours = key.replace(named, host, 1)
                    # Under two names, the newer of two entries is the one that still works.
                    if ours not in section or _written_at(entry) > _written_at(section[ours]):
                        section[ours] = {**entry, "environment": host}
        text = json.dumps(content)
    cache.deserialize(text)


def _written_at(entry: dict[str, Any]) -> int:
    """When the entry was written, in POSIX seconds; 0 when it doesn't say."""
    return int(entry.get("last_modification_time") or entry.get("cached_at") or 0)


def entries(cache: SerializableTokenCache, kind: str) -> list[dict[str, Any]]:
    """All entries of one kind (CredentialType)."""
    return list(cache.search(kind))


def stored_id_token(cache: SerializableTokenCache) -> str:
    """The person's id token; "" when there is none."""
    return next((str(each["secret"]) for each in entries(cache, CredentialType.ID_TOKEN) if "secret" in each), "")


def has_refresh_token(cache: SerializableTokenCache) -> bool:
    """Is there anything to redeem?"""
    return bool(entries(cache, CredentialType.REFRESH_TOKEN))


def home_account_id(cache: SerializableTokenCache) -> str:
    """The home account id of the first account; "" when there is none."""
    return next((str(each["home_account_id"]) for each in entries(cache, CredentialType.ACCOUNT)), "")


def access_token(
    cache: SerializableTokenCache, scopes: Sequence[str], *, client_id: str, host: str
) -> dict[str, Any] | None:
    """The person's access token for these scopes that lasts longest; None when there is none."""
    owner = {"client_id": client_id, "environment": host, "home_account_id": home_account_id(cache)}
    found = cache.search(CredentialType.ACCESS_TOKEN, target=list(scopes), query=owner)
    return max(found, key=lambda each: int(each["expires_on"]), default=None)


def drop_superseded(cache: SerializableTokenCache, access_token: str, scopes: Sequence[str]) -> None:
    """Removes the access tokens that a new one replaces: those that the same search would find.

    MSAL files an access token under its scopes, and finds any token that covers the requested ones. When a new token
    has more scopes, or answers a claims challenge, MSAL could still find the older one (`TokenCache.search`,
    msal/token_cache.py).

    Args:
        access_token: the new one, which is in the cache already.
        scopes: the requested ones.
    """
    tokens = entries(cache, CredentialType.ACCESS_TOKEN)
    new = next((each for each in tokens if each["secret"] == access_token), None)
    if new is None:
        return
    asked, granted = {each.lower() for each in scopes}, set(new["target"].lower().split())
    owner = [new[name] for name in _TOKEN_OWNER]
    for each in tokens:
        target = set(each["target"].lower().split())
        same_owner = [each[name] for name in _TOKEN_OWNER] == owner
        if each is not new and same_owner and (target <= granted or asked <= target):
            cache.remove_at(each)
