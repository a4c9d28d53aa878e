"""Checks that a text is a token cache in MSAL's "unified schema". Does not import MSAL."""

import json
from typing import Any

_OWNED = ("home_account_id", "environment")
_NEEDED = {
    "Account": (*_OWNED, "realm", "authority_type"),
    "AccessToken": (*_OWNED, "client_id", "realm", "target", "secret", "expires_on"),
    "IdToken": (*_OWNED, "client_id", "secret"),
    "RefreshToken": (*_OWNED, "client_id", "secret"),
}
_OPTIONAL = ("username", "realm", "target", "ext_cache_key")
_TIMES = ("expires_on", "extended_expires_on", "cached_at", "refresh_on")
_LONGEST_TIME = 11
_DEEPEST_VALUE = 8


def check_token_cache(text: str) -> None:
    """Raises ValueError unless `text` is a cache in MSAL's unified schema: sections of entries by key.

    Every entry must have the fields that MSAL reads without a check, in the types that it expects (token_cache.py and
    application.py of MSAL for Python 1.39). Sections and fields that MSAL doesn't read may hold anything, but nested
    only a few levels deep: MSAL writes them back recursively.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("a token cache is not nested so deeply") from error
    if not isinstance(content, dict):
        raise ValueError("not a token cache")
    for name, section in content.items():
        if not isinstance(section, dict) or not all(_is_entry(name, entry) for entry in section.values()):
            raise ValueError("not a token cache")


def _is_entry(section: str, entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    needed = _NEEDED.get(section, ())
    if "secret" in needed and entry.get("credential_type") != section:
        return False  # MSAL asserts this before it removes a token
    return _has_right_types(entry, needed, section) and _is_sendable(entry)


def _has_right_types(entry: dict[str, Any], needed: tuple[str, ...], section: str) -> bool:
    """Plain loops: this runs for each entry of each acquisition."""
    for name in needed:
        if not isinstance(entry.get(name), str):
            return False
    for name in _OPTIONAL:
        if not isinstance(entry.get(name), str | None):
            return False
    for name in (*_TIMES, "last_modification_time") if section == "RefreshToken" else _TIMES:
        if name in entry and not _is_time(entry[name]):
            return False
    return all(_nests_at_most(_DEEPEST_VALUE - 1, each) for each in entry.values() if isinstance(each, dict | list))


def _is_time(value: object) -> bool:
    text = str(value)
    return len(text) <= _LONGEST_TIME and text.isascii() and text.isdigit()


def _is_sendable(entry: dict[str, Any]) -> bool:
    """Can the token and the account's id be sent? Tokens are printable ASCII (RFC 6749, appendix A). MSAL sends the id
    in the header X-AnchorMailbox."""
    secret, account = str(entry.get("secret", "")), str(entry.get("home_account_id", ""))
    try:
        account.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return account.isprintable() and secret.isascii() and secret.isprintable()


def _nests_at_most(levels: int, value: object) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not inner or (levels > 0 and all(_nests_at_most(levels - 1, each) for each in inner))
