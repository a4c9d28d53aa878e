"""Parsers of settings. Each takes a text, or raises ValueError that says what is needed and never holds the value."""

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

RESERVED_SCOPES = frozenset({"openid", "profile", "offline_access"})
OIDC_SCOPES = RESERVED_SCOPES | {"email", "address", "phone"}  # OpenID Connect Core 1.0, 5.4 and 11: of no resource
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def duration(text: str) -> timedelta:
    """`90s`, `5m`, `1h`, `90d` as a timedelta; greater than zero."""
    match = re.fullmatch(r"(\d+)\s*([smhd])", text.strip())
    if not match or int(match[1]) == 0:
        raise ValueError("a duration such as 90s, 5m, 1h or 90d is needed")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def https_url(text: str) -> str:
    """An https URL without a trailing slash; http for localhost only."""
    url = urlsplit(text.strip())
    local = url.scheme == "http" and url.hostname in _LOCAL_HOSTS
    if not url.hostname or url.query or url.fragment or url.username or not (url.scheme == "https" or local):
        raise ValueError("an https:// URL is needed (http:// only for localhost)")
    return text.strip().rstrip("/")


def table_url(text: str) -> str:
    """The https URL of a storage account's table service."""
    url = https_url(text)
    _refuse_cosmos(urlsplit(url).hostname or "")
    return url


def storage_connection(text: str) -> str:
    """A storage account's connection string. Checks only that none of its endpoints is Cosmos DB's."""
    for part in text.split(";"):
        name, _, value = (each.strip() for each in part.partition("="))
        if name.lower() == "endpointsuffix":
            _refuse_cosmos(f"x.table.{value.lower()}")
        elif name.lower().endswith("endpoint"):  # with or without a scheme
            _refuse_cosmos(urlsplit(value if "//" in value else f"//{value}").hostname or "")
    return text.strip()


def storage_account(text: str) -> str:
    """The name of a storage account ("Storage account overview", Microsoft Learn: 3 to 24 digits and lower-case
    letters). A host name is none, so it can't lead to Cosmos DB."""
    if not re.fullmatch(r"[a-z0-9]{3,24}", text.strip()):
        raise ValueError("the name of a storage account is needed: 3 to 24 digits and lower-case letters")
    return text.strip()


def _refuse_cosmos(host: str) -> None:
    """Refuses Cosmos DB's API for Table, by its host names: those that the Tables SDK knows it by (azure-data-tables,
    `_is_cosmos_endpoint`), and the account's endpoint for all its APIs, `<account>.documents.azure.com`. Its errors for
    missing tables, its MERGE and its limits are others ("Azure Tables API differences", Microsoft Learn).

    Not followed: the SDK also takes `localhost` with another port than 10002 for the emulator of Cosmos DB. Azurite may
    listen on any port. Nor does it look behind a name of your own DNS."""
    if any(name in f"{host}." for name in (".table.cosmos.", ".table.cosmosdb.", ".documents.azure.")):
        raise ValueError("a storage account's table service is needed; Cosmos DB's Table endpoint doesn't do")


def issuer_url(text: str) -> str:
    """An https URL, with or without a path (OpenID Connect Discovery 1.0, 3)."""
    url = https_url(text)
    if urlsplit(url).scheme != "https":
        raise ValueError("the provider's issuer is needed, an https:// URL")
    return url


def graph_address(text: str) -> str:
    """An https URL, or "" for the word none."""
    return "" if text.strip().lower() == "none" else https_url(text)


def authority_url(text: str) -> str:
    """An https URL with a path. MSAL takes no other (`canonicalize`, msal/authority.py)."""
    url = https_url(text)
    if urlsplit(url).scheme != "https" or not urlsplit(url).path.strip("/"):
        raise ValueError("https://<host>/<tenant id, domain, or organizations> is needed")
    return url


def scopes(text: str) -> tuple[str, ...]:
    """Scopes by space or comma, in order, without those that MSAL adds itself and refuses as arguments."""
    wanted = delegated_scopes(text)
    if not wanted:
        raise ValueError("name at least one scope, for instance User.Read")
    return wanted


def delegated_scopes(text: str) -> tuple[str, ...]:
    """The same; () for `openid profile offline_access`, which will do where no API is called."""
    named = dict.fromkeys(part for part in re.split(r"[\s,]+", text) if part)
    return tuple(part for part in named if part.lower() not in RESERVED_SCOPES)


def scope_name(text: str) -> str:
    """The name of a scope of this app's own API, without the resource in front."""
    name = text.strip().rpartition("/")[2]
    if not re.fullmatch(r"[\w.\-]{1,120}", name):
        raise ValueError("the name of a scope is needed, for instance access_as_user")
    return name


def origins(text: str) -> tuple[str, ...]:
    """Origins by space or comma, as browsers send them (RFC 6454). There is no wildcard."""
    found = tuple(dict.fromkeys(https_url(part) for part in re.split(r"[\s,]+", text) if part))
    if any(urlsplit(each).path for each in found):
        raise ValueError("origins without a path are needed, for instance https://app.contoso.com")
    return tuple(each.lower() for each in found)


def words(text: str) -> tuple[str, ...]:
    """Words by space or comma, in lower case."""
    return tuple(part.lower() for part in re.split(r"[\s,]+", text) if part)


def guids(text: str) -> tuple[str, ...]:
    """IDs of tenants or clients by space or comma, in lower case. A tenant's domain would fit no token."""
    found = words(text)
    if not all(map(is_guid, found)):
        raise ValueError("IDs such as 00000000-0000-0000-0000-000000000000 are needed, by comma")
    return found


def is_guid(text: str) -> bool:
    """Is this an ID as Entra writes them?"""
    return bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text))


def positive(text: str) -> int:
    """A whole number from 1 to 10,000."""
    if not text.strip().isdigit() or not 1 <= int(text) <= 10_000:
        raise ValueError("a whole number from 1 to 10000 is needed")
    return int(text)


def one_of(*allowed: str) -> Callable[[str], str]:
    """A parser for a closed set of words."""

    def parse(text: str) -> str:
        if text.strip() not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is needed")
        return text.strip()

    return parse


def ncrontab(text: str) -> str:
    """Six fields, seconds first ("Timer trigger for Azure Functions": NCRONTAB expressions). The Functions host parses
    them."""
    if len(text.split()) != 6:
        raise ValueError("an NCRONTAB expression with six fields is needed, for instance 0 */5 * * * *")
    return text.strip()


def time_zone(text: str) -> str:
    """The name of a time zone of the IANA database."""
    try:
        return ZoneInfo(text.strip()).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("an IANA time zone is needed, for instance Europe/Berlin") from None
