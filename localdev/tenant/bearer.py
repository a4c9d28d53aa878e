"""Reads an access token that the tenant issued, as an API would: signature, audience, times, person."""

from collections.abc import Callable
from typing import Any

from localdev.tenant.people import Person
from localdev.tenant.tenancy import Tenancy

_LEEWAY = 300


class BearerRefused(Exception):
    """The token is no good; `str()` says why."""


def read_bearer(tenancy: Tenancy, header: str, takes: Callable[[str], bool]) -> tuple[Person, dict[str, Any]]:
    """Whom the token is for, and its claims.

    Args:
        header: the request's Authorization header.
        takes: whether an audience is this API's.

    Raises:
        BearerRefused: it is missing, forged, for another API, not in force, or of nobody.
    """
    kind, _, token = header.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise BearerRefused("Access token is empty.")
    claims = tenancy.signing.verified(token)
    if claims is None:
        raise BearerRefused("Signature validation failed.")
    if not takes(str(claims.get("aud"))):
        raise BearerRefused("Invalid audience.")
    if not claims["nbf"] - _LEEWAY <= tenancy.now() < claims["exp"]:
        raise BearerRefused("Lifetime validation failed, the token is expired.")
    person = tenancy.people.by_subject(str(claims.get("oid") or claims.get("sub")))
    if person is None or "scp" not in claims:
        raise BearerRefused("The token names nobody.")
    return person, claims
