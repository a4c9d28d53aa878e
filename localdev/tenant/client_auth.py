"""Client authentication: secret (posted or basic), certificate assertion, federated credential, or a public client.

Assertions: RFC 7523, and Microsoft's page "Microsoft identity platform application authentication certificate
credentials".
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import jwt

from localdev.tenant.apps import App
from localdev.tenant.errors import refuse
from localdev.tenant.tenancy import Tenancy

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LEEWAY = 300


@dataclass(frozen=True)
class Presented:
    """What the request says about the client."""

    client_id: str
    secret: str = ""
    assertion: str = ""


def read(form: Mapping[str, str], authorization: str) -> Presented:
    """Reads it from the form or from a Basic header (RFC 6749, 2.3.1)."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise refuse(9002313) from error
        return Presented(unquote_plus(user), unquote_plus(secret))
    if not form.get("client_id"):
        raise refuse(900144, name="client_id")
    assertion = form.get("client_assertion", "") if form.get("client_assertion_type") == JWT_BEARER else ""
    return Presented(form["client_id"], form.get("client_secret", ""), assertion)


def authenticate(tenancy: Tenancy, presented: Presented, *, tids: tuple[str, ...], audiences: set[str]) -> App:
    """Returns the authenticated client. `audiences`: the audiences that an assertion may have."""
    app = tenancy.apps.get_in(presented.client_id, tids)
    if app.public:
        if presented.secret or presented.assertion:
            raise refuse(700025)
        return app
    if presented.assertion:
        _check_assertion(tenancy, app, presented.assertion, audiences)
    elif presented.secret:
        app.check_secret(presented.secret)
    else:
        raise refuse(7000218)
    return app


def _check_assertion(tenancy: Tenancy, app: App, assertion: str, audiences: set[str]) -> None:
    try:
        header = jwt.get_unverified_header(assertion)
    except jwt.InvalidTokenError as error:
        raise refuse(50027, reason="it is no JWT") from error
    certificate = app.certificate(header)
    if certificate is not None:
        claims = _decoded(tenancy, assertion, certificate.public_key())
        _check_certificate_claims(app, claims, audiences)
    elif header.get("kid") == tenancy.workloads.kid:
        _check_federated(app, _decoded(tenancy, assertion, tenancy.workloads.public_key))
    else:
        raise refuse(700027)


def _decoded(tenancy: Tenancy, assertion: str, key: Any) -> dict[str, Any]:
    try:
        claims = dict(
            jwt.decode(
                assertion,
                key,
                algorithms=["RS256", "PS256"],
                # We check the times ourselves: the tenant has its own clock.
                options={
                    "require": ["exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
        )
    except jwt.MissingRequiredClaimError as error:
        raise refuse(50027, reason="exp is missing") from error
    except (jwt.InvalidTokenError, ValueError) as error:
        raise refuse(700027) from error
    if not float(claims.get("nbf", 0)) - _LEEWAY <= tenancy.now() < float(claims["exp"]):
        raise refuse(700024)
    return claims


def _check_certificate_claims(app: App, claims: dict[str, Any], audiences: set[str]) -> None:
    if claims.get("iss") != app.client_id or claims.get("sub") != app.client_id:
        raise refuse(50027, reason="iss and sub must be the client id")
    if claims.get("aud") not in audiences:
        raise refuse(700023)


def _check_federated(app: App, claims: dict[str, Any]) -> None:
    known = [each for each in app.federated if each.issuer == claims.get("iss")]
    if not known:
        raise refuse(700211, issuer=str(claims.get("iss")))
    known = [each for each in known if each.subject == claims.get("sub")]
    if not known:
        raise refuse(700213, subject=str(claims.get("sub")))
    if claims.get("aud") not in {each.audience for each in known}:
        raise refuse(700212, audience=str(claims.get("aud")))
