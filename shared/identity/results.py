"""How sign-ins, acquisitions and exchanges end, and of whom their tokens speak."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.accounts import Account, Outcome, Person, Verdict
from shared.errors import Misconfigured, SignInFailed, SignInRequired, TokenError, TryLater, Unreadable


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A completed sign-in.

    Attributes:
        scopes: what the person granted, without those of OpenID Connect.
        token_cache: MSAL's, serialized; a secret.
    """

    person: Person
    scopes: tuple[str, ...]
    expires_at: datetime
    token_cache: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Acquired:
    """How one acquisition ended.

    Attributes:
        access_token: "" when there is none.
        sealed_cache: the token cache, when it changed and must be saved; else None.
        sent: was a token request sent?
    """

    verdict: Verdict
    access_token: str = field(default="", repr=False)
    sealed_cache: bytes | None = field(default=None, repr=False)
    sent: bool = False

    def renewed(self, account: Account) -> Account:
        """The account with this token cache."""
        if self.sealed_cache is None:
            return account
        return replace(account, sealed_cache=self.sealed_cache, cache_version=account.cache_version + 1)

    def error(self) -> TokenError:
        """Why there is no access token, to be raised."""
        verdict = self.verdict
        if verdict.outcome is Outcome.SIGN_IN_REQUIRED:
            return SignInRequired(verdict.code, correlation_id=verdict.correlation_id, claims=verdict.claims)
        if verdict.outcome is Outcome.MISCONFIGURED:
            return Misconfigured(verdict.code, correlation_id=verdict.correlation_id)
        if verdict.outcome is Outcome.UNREADABLE:
            return Unreadable(verdict.code)
        return TryLater(verdict.code, retry_after=verdict.retry_after)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """How one on-behalf-of exchange ended.

    Attributes:
        signed_in: what to keep for later calls and for the sweep; None when there is no token.
    """

    acquired: Acquired
    signed_in: SignedIn | None = None


def person_of(claims: Mapping[str, Any], *, home_account_id: str = "", oidc: bool = False) -> Person:
    """Who a verified token speaks of. Raises SignInFailed when it names nobody."""
    tenant_id, object_id = str(claims.get("tid", "")), str(claims.get("oid", ""))
    account_id = str(claims.get("sub", "")) if oidc else f"{object_id}.{tenant_id}"
    if not account_id or (not oidc and not (object_id and tenant_id)):
        raise SignInFailed("The identity provider did not say who you are.", code="id_token_claims")
    roles = claims.get("roles")
    return Person(
        account_id=account_id,
        username=str(claims.get("preferred_username") or claims.get("upn") or claims.get("email") or ""),
        tenant_id=tenant_id,
        object_id=object_id,
        home_account_id=home_account_id,
        name=str(claims.get("name", "")),
        roles=tuple(str(each) for each in roles) if isinstance(roles, list) else (),
    )
