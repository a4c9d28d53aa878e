"""Refusals in Entra's words: an AADSTS code, an OAuth error, sometimes a suberror and claims.

    EntraError      one refusal; every protocol module raises it, the endpoints turn it into an answer

Codes: Microsoft's page "Microsoft Entra authentication and authorization error codes". Texts are short versions.
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_POLICY = json.dumps(
    {"access_token": {"capolids": {"essential": True, "values": ["5d1b6a3e-6f0d-4f0e-8a67-30b9c1d10001"]}}}
)


@dataclass(frozen=True)
class Kind:
    """What belongs to a code."""

    error: str
    text: str
    suberror: str = ""
    status: int = 400
    claims: str = ""


KINDS: dict[int, Kind] = {
    # The grant, or the person behind it.
    50034: Kind("invalid_grant", "The user account {username} does not exist in this directory.", "bad_token"),
    50057: Kind("invalid_grant", "The user account is disabled.", "bad_token"),
    50058: Kind("login_required", "A silent sign-in request was sent but nobody is signed in."),
    50020: Kind("invalid_grant", "The user account {username} does not exist in tenant '{tenant}'.", "bad_token"),
    50076: Kind(
        "invalid_grant",
        "Multi-factor authentication is required to access the resource.",
        "basic_action",
        claims=_POLICY,
    ),
    50079: Kind("invalid_grant", "The user must enrol in multi-factor authentication.", "basic_action", claims=_POLICY),
    50126: Kind("invalid_grant", "Invalid username or password."),
    50173: Kind(
        "invalid_grant", "The grant has expired due to it being revoked; a fresh sign-in is needed.", "bad_token"
    ),
    53003: Kind(
        "invalid_grant", "Access has been blocked by Conditional Access policies.", "message_only", claims=_POLICY
    ),
    65001: Kind("invalid_grant", "Nobody has consented to use the application '{client}'.", "consent_required"),
    65004: Kind("access_denied", "The user declined to consent to access the app."),
    90093: Kind("access_denied", "{client} asks for permissions that you are not authorized to grant."),
    90094: Kind("access_denied", "{client} needs permission that only an admin can grant. Ask an admin to grant it."),
    90095: Kind("access_denied", "{client} needs permission that only an admin can grant. You can request approval."),
    70000: Kind("invalid_grant", "The provided grant is not valid: {reason}.", "bad_token"),
    70008: Kind("invalid_grant", "The authorization code has expired.", "token_expired"),
    70043: Kind(
        "invalid_grant",
        "The refresh token has expired due to sign-in frequency checks by conditional access.",
        "token_expired",
    ),
    700082: Kind("invalid_grant", "The refresh token has expired due to inactivity.", "token_expired"),
    54005: Kind("invalid_grant", "The authorization code was already redeemed."),
    501481: Kind("invalid_grant", "The code_verifier does not match the code_challenge of the authorization request."),
    500112: Kind("invalid_grant", "The reply address '{given}' does not match the one of the authorization request."),
    9002313: Kind("invalid_grant", "The request is malformed or invalid."),
    50013: Kind("invalid_grant", "The assertion failed validation: {reason}."),
    500133: Kind("invalid_grant", "The assertion is not within its valid time range."),
    # Device codes.
    70016: Kind("authorization_pending", "The person has not finished yet."),
    70018: Kind("bad_verification_code", "The device code is not known."),
    70020: Kind("expired_token", "The device code has expired."),
    70017: Kind("authorization_declined", "The person declined."),
    # The request.
    50011: Kind("invalid_request", "The redirect URI '{uri}' is not registered for the application '{client}'."),
    900144: Kind("invalid_request", "The request must contain the parameter '{name}'."),
    9000411: Kind("invalid_request", "The parameter '{name}' must not be given twice."),
    50147: Kind("invalid_request", "The code challenge is missing, malformed or not S256."),
    70002: Kind("invalid_request", "The claims parameter is not JSON."),
    700054: Kind("unsupported_response_type", "The response_type '{given}' is not enabled for the application."),
    70003: Kind("unsupported_grant_type", "The grant type '{given}' is not supported."),
    90010: Kind("invalid_request", "The grant type is not supported over the /common or /consumers endpoints."),
    90002: Kind("invalid_tenant", "The tenant '{tenant}' was not found."),
    70011: Kind("invalid_scope", "The scope '{scope}' is not valid."),
    28000: Kind(
        "invalid_scope",
        "Provided value for the input parameter scope is not valid because it contains more than one resource.",
    ),
    28003: Kind("invalid_scope", "The scope can't be empty: the grant is for more than one resource."),
    650053: Kind("invalid_client", "The application asked for the scope '{scope}' that doesn't exist on the resource."),
    500011: Kind("invalid_resource", "The resource '{resource}' was not found in the tenant."),
    # The client.
    700016: Kind("unauthorized_client", "The application '{client}' was not found in the directory."),
    70001: Kind("unauthorized_client", "The application may not use this grant type."),
    7000218: Kind("invalid_client", "The request must contain 'client_assertion' or 'client_secret'.", status=401),
    7000215: Kind("invalid_client", "Invalid client secret provided.", status=401),
    7000222: Kind("invalid_client", "The provided client secret keys are expired.", status=401),
    700025: Kind("invalid_client", "The client is public: it may present no secret and no assertion.", status=401),
    700027: Kind(
        "invalid_client", "The client assertion is not signed with the application's certificate.", status=401
    ),
    700024: Kind("invalid_client", "The client assertion is not within its valid time range.", status=401),
    700023: Kind("invalid_client", "The client assertion's audience is not this token endpoint.", status=401),
    50027: Kind("invalid_client", "The client assertion is malformed: {reason}.", status=401),
    700211: Kind("invalid_client", "No federated identity matches the assertion's issuer '{issuer}'.", status=401),
    700213: Kind("invalid_client", "No federated identity matches the assertion's subject '{subject}'.", status=401),
    700212: Kind("invalid_client", "No federated identity matches the assertion's audience '{audience}'.", status=401),
    # The service.
    90033: Kind("temporarily_unavailable", "A transient error has occurred. Please try again.", status=503),
    90055: Kind("temporarily_unavailable", "Too many requests.", status=429),
}


@dataclass(eq=False)  # an exception must stay hashable
class EntraError(Exception):
    """One refusal. `code` is the AADSTS number."""

    code: int
    error: str
    text: str
    suberror: str = ""
    status: int = 400
    claims: str = ""
    trace_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __str__(self) -> str:
        return f"AADSTS{self.code}: {self.text}"

    def described(self, *, now: float, correlation_id: str) -> str:
        """The description with the three identifiers that Entra appends."""
        stamp = _stamp(now)
        return f"{self} Trace ID: {self.trace_id} Correlation ID: {correlation_id} Timestamp: {stamp}"

    def body(self, *, now: float, correlation_id: str, base: str) -> dict[str, Any]:
        """The token endpoint's JSON. `base` is the URL that error_uri starts with."""
        extras = {"suberror": self.suberror, "claims": self.claims}
        return {
            "error": self.error,
            "error_description": self.described(now=now, correlation_id=correlation_id),
            "error_codes": [self.code],
            "timestamp": _stamp(now),
            "trace_id": self.trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"{base}/error?code={self.code}",
        } | {name: value for name, value in extras.items() if value}


def refuse(code: int, **words: str) -> EntraError:
    """The error for an AADSTS code; `words` fill its text."""
    kind = KINDS[code]
    return EntraError(code, kind.error, kind.text.format(**words), kind.suberror, kind.status, kind.claims)


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
