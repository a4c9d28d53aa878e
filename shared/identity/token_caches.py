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
    aliases = [alias for alias in cloud_of(host) if alias != host and f'"{alias}"' in text]
    if aliases:
        content = json.loads(text)
        for section in content.values():
            for key in [key for key, entry in section.items() if entry.get("environment") in aliases]:
                entry = section.pop(key)
                section.setdefault(key.replace(entry["environment"], host, 1), {**entry, "environment": host})
        text = json.dumps(content)
    cache.deserialize(text)


def entries(cache: SerializableTokenCache, kind: str) -> list[dict[str, Any]]:
    """All entries of one kind (CredentialType)."""
    return list(cache.search(kind))


def stored_id_token(cache: SerializableTokenCache) -> str:
    """The person's id token; "" when there is none."""
    return next((str(each["secret"]) for each in entries(cache, CredentialType.ID_TOKEN) if "secret" in each), "")


def home_account_id(cache: SerializableTokenCache) -> str:
    """The home account id of the first account; "" when there is none."""
    return next((str(each["home_account_id"]) for each in entries(cache, CredentialType.ACCOUNT)), "")


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
