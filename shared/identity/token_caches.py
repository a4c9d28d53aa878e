"""What a person's MSAL token cache holds ("unified schema"), looked at before MSAL takes it for granted."""

import json
from collections.abc import Sequence
from typing import Any

from msal import SerializableTokenCache

CredentialType = SerializableTokenCache.CredentialType
_OWNED = ("home_account_id", "environment")
_NEEDED = {
    "Account": (*_OWNED, "realm"),
    "AccessToken": (*_OWNED, "client_id", "realm", "target", "secret", "expires_on"),
    "IdToken": (*_OWNED, "client_id", "secret"),
    "RefreshToken": (*_OWNED, "client_id", "secret"),
}
_TOKEN_OWNER = (*_OWNED, "client_id", "realm")
_TIMES = ("expires_on", "extended_expires_on", "cached_at", "refresh_on")
_LONGEST_TIME = 11


def deserialize(cache: SerializableTokenCache, text: str) -> None:
    """Raises ValueError for what isn't MSAL's unified cache schema: sections of entries by key."""
    content = json.loads(text)
    if not isinstance(content, dict) or not all(_is_section(*each) for each in content.items()):
        raise ValueError("not a token cache")
    cache.deserialize(text)


def _is_section(name: str, section: object) -> bool:
    return isinstance(section, dict) and all(_is_entry(name, entry) for entry in section.values())


def _is_entry(section: str, entry: object) -> bool:
    """Has it what MSAL looks up without asking?"""
    needed = _NEEDED.get(section, ())
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(name), str) for name in needed)
        and all(_is_time(entry.get(name, "0")) for name in _TIMES)
    )


def _is_time(value: object) -> bool:
    return str(value).isascii() and str(value).isdigit() and len(str(value)) <= _LONGEST_TIME


def entries(cache: SerializableTokenCache, kind: str) -> list[dict[str, Any]]:
    """All of one kind."""
    return list(cache.search(kind))


def stored_id_token(cache: SerializableTokenCache) -> str:
    """The person's, "" when there is none."""
    return next((str(each["secret"]) for each in entries(cache, CredentialType.ID_TOKEN) if "secret" in each), "")


def home_account_id(cache: SerializableTokenCache) -> str:
    """The one account's, "" when there is none."""
    return next((str(each["home_account_id"]) for each in entries(cache, CredentialType.ACCOUNT)), "")


def drop_superseded(cache: SerializableTokenCache, access_token: str, scopes: Sequence[str]) -> None:
    """Removes the access tokens that a new one replaces: those that the same search would find.

    MSAL files an access token under its scopes and looks for any that covers what is asked. When consent grew, or after
    a claims challenge, it would go on finding the older one (`TokenCache.search`, msal/token_cache.py).

    Args:
        access_token: the new one, which is in the cache.
        scopes: what was asked for.
    """
    kind = CredentialType.ACCESS_TOKEN
    tokens = [each for each in entries(cache, kind) if each.get("credential_type") == kind]
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
