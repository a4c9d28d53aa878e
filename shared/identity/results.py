"""The results of sign-ins, acquisitions and exchanges, and the person whom a token is for."""

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
        scopes: what the person granted, without OpenID Connect's own scopes.
        expires_at: when the access token expires.
        token_cache: MSAL's, serialized; a secret.
        is_lasting: has it a refresh token? Without one the app can do nothing once the access token has expired.
    """

    person: Person
    scopes: tuple[str, ...]
    expires_at: datetime
    token_cache: str = field(repr=False)
    is_lasting: bool = True


@dataclass(frozen=True, slots=True)
class Acquired:
    """The result of one acquisition.

    Attributes:
        access_token: "" when there is none; the verdict says why.
        sealed_cache: the token cache when it changed and must be saved; else None.
        sent: was a token request sent?
    """

    verdict: Verdict
    access_token: str = field(default="", repr=False)
    sealed_cache: bytes | None = field(default=None, repr=False)
    sent: bool = False

    def renewed(self, account: Account) -> Account:
        """The account with the changed token cache, to be saved."""
        if self.sealed_cache is None:
            return account
        return replace(account, sealed_cache=self.sealed_cache, cache_version=account.cache_version + 1)

    def error(self) -> TokenError:
        """The error to raise when there is no access token."""
        verdict = self.verdict
        if verdict.outcome is Outcome.SIGN_IN_REQUIRED:
            return SignInRequired(
                verdict.code,
                correlation_id=verdict.correlation_id,
                claims=verdict.claims,
                diagnosis=verdict.diagnosis,
            )
        if verdict.outcome is Outcome.MISCONFIGURED:
            return Misconfigured(verdict.code, correlation_id=verdict.correlation_id, diagnosis=verdict.diagnosis)
        if verdict.outcome is Outcome.UNREADABLE:
            return Unreadable(verdict.code)
        return TryLater(verdict.code, retry_after=verdict.retry_after, diagnosis=verdict.diagnosis)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The result of one on-behalf-of exchange.

    Attributes:
        signed_in: the person and their tokens, to be saved; None when there is no token.
    """

    acquired: Acquired
    signed_in: SignedIn | None = None


def person_of(claims: Mapping[str, Any], *, home_account_id: str = "", oidc: bool = False) -> Person:
    """The person whom a verified token is for.

    Args:
        claims: of the token ("Access token claims reference"; OpenID Connect Core 1.0, 5.1).
        oidc: is the authority a plain OpenID provider? Then `sub` is the account id.

    Raises:
        SignInFailed: the token names nobody.
    """
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
