"""Builds the token endpoint's answer: access token, refresh token, id token, client_info.

Shapes: Microsoft's pages "ID token claims reference" and "Access token claims reference". Tokens for Graph are
version 1.0, tokens for other APIs version 2.0.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from localdev.tenant.encoding import base64url, base64url_json
from localdev.tenant.errors import refuse
from localdev.tenant.grants import SignIn
from localdev.tenant.people import Person
from localdev.tenant.scopes import DEFAULT, GRAPH, OIDC, Asked
from localdev.tenant.tenancy import Tenancy


@dataclass(frozen=True)
class Granted:
    """What an answer grants: scope `names` on one `resource`, and their spelling in the answer."""

    resource: str
    names: tuple[str, ...]
    spelt: str


def granted(tenancy: Tenancy, sign_in: SignIn, asked: Asked) -> Granted:
    """Everything consented to on the requested resource, as Entra does. Raises AADSTS65001 for a scope without
    consent."""
    resource = asked.resource()
    given = tenancy.consents.of(sign_in.client_id, _oid(tenancy, sign_in), sign_in.tid)
    names = tuple(sorted(key.removeprefix(resource + "/") for key in given if key.startswith(resource + "/")))
    missing = [each for each in asked.api if each.name != DEFAULT and each.key not in given]
    if missing or (asked.api and not names) or not given:
        raise refuse(65001, client=sign_in.client_id)
    prefix = asked.api[0].prefix if asked.api else ""
    words = [prefix + name for name in (*names, *(each.name for each in asked.api if each.name == DEFAULT))]
    hidden = () if sign_in.provider == "oidc" else ("offline_access",)
    return Granted(resource, names, " ".join(words + [word for word in OIDC if word in given and word not in hidden]))


def answer(
    tenancy: Tenancy,
    sign_in: SignIn,
    asked: Asked,
    *,
    client_info: bool,
    cae: bool = False,
    refresh: bool = True,
    id_token: bool = True,
) -> dict[str, Any]:
    """The JSON of a granted token request. `refresh`, `id_token`: whether they may be part of it."""
    given = granted(tenancy, sign_in, asked)
    lifetime = int(tenancy.settings.access_token_lifetime)
    body: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": given.spelt,
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": _access_token(tenancy, sign_in, given, cae=cae),
    }
    if tenancy.settings.refresh_in is not None:
        body["refresh_in"] = int(tenancy.settings.refresh_in)
    if refresh:
        body["refresh_token"] = tenancy.refresh_tokens.issue(sign_in)
    if id_token and "openid" in asked.oidc:
        body["id_token"] = _id_token(tenancy, sign_in)
    if client_info and sign_in.provider == "entra":
        body["client_info"] = _client_info(tenancy.people.get(sign_in.username))
    return body


def issuer(tenancy: Tenancy, sign_in: SignIn) -> str:
    """The issuer of id tokens."""
    return f"{tenancy.back}/oidc" if sign_in.provider == "oidc" else f"{tenancy.back}/{sign_in.tid}/v2.0"


def _client_info(person: Person) -> str:
    # Entra names the home account here, also for a guest.
    return base64url_json({"uid": person.oids[person.home], "utid": person.home})


def _oid(tenancy: Tenancy, sign_in: SignIn) -> str:
    person = tenancy.people.get(sign_in.username)
    if sign_in.tid not in person.oids:
        raise refuse(50020, username=sign_in.username, tenant=sign_in.tid)
    return person.oids[sign_in.tid]


def _pairwise(client_id: str, oid: str) -> str:
    return base64url(hashlib.sha256(f"{client_id} {oid}".encode()).digest())


def _times(tenancy: Tenancy, lifetime: float) -> dict[str, int]:
    now = int(tenancy.now())
    return {"iat": now, "nbf": now, "exp": now + int(lifetime)}


def _access_token(tenancy: Tenancy, sign_in: SignIn, given: Granted, *, cae: bool) -> str:
    person = tenancy.people.get(sign_in.username)
    claims = _times(tenancy, tenancy.settings.access_token_lifetime) | {
        "uti": secrets.token_urlsafe(16),
        "scp": " ".join(given.names),
        # Not a claim of Entra's: the number of events of this person when the token was issued.
        "xms_events": person.events,
        **({"xms_cc": ["CP1"]} if cae else {}),
        **_for_resource(tenancy, sign_in, given, person),
    }
    return tenancy.journal.issued(
        "access_token",
        tenancy.signing.sign(claims),
        username=person.username,
        uti=claims["uti"],
        aud=claims["aud"],
        scp=claims["scp"],
        at=claims["iat"],
    )


def _for_resource(tenancy: Tenancy, sign_in: SignIn, given: Granted, person: Person) -> dict[str, Any]:
    if sign_in.provider == "oidc":
        audience = GRAPH if tenancy.scopes.is_graph(given.resource) else given.resource
        return {"iss": issuer(tenancy, sign_in), "aud": audience, "sub": person.subject, "client_id": sign_in.client_id}
    oid = _oid(tenancy, sign_in)
    common = {"oid": oid, "tid": sign_in.tid, "sid": sign_in.sid, "name": person.name, "idtyp": "user"}
    if not tenancy.scopes.is_graph(given.resource):
        return _for_api(tenancy, sign_in, given, person) | common
    return common | {
        "iss": f"{tenancy.back}/{sign_in.tid}/",
        "aud": given.resource,
        "sub": _pairwise(GRAPH, oid),
        "appid": sign_in.client_id,
        "app_displayname": tenancy.apps.get(sign_in.client_id).name,
        "upn": person.username,
        "ver": "1.0",
    }


def _for_api(tenancy: Tenancy, sign_in: SignIn, given: Granted, person: Person) -> dict[str, Any]:
    # App roles belong to one app: the sample API has none.
    roles = {"roles": person.roles} if person.roles and given.resource == tenancy.apps.web.client_id else {}
    return roles | {
        "iss": issuer(tenancy, sign_in),
        "aud": given.resource,
        "sub": _pairwise(given.resource, _oid(tenancy, sign_in)),
        "azp": sign_in.client_id,
        "azpacr": "0" if tenancy.apps.get(sign_in.client_id).public else "1",
        "preferred_username": person.username,
        "ver": "2.0",
    }


def _id_token(tenancy: Tenancy, sign_in: SignIn) -> str:
    person = tenancy.people.get(sign_in.username)
    claims = _times(tenancy, 3600) | {
        "iss": issuer(tenancy, sign_in),
        "aud": sign_in.client_id,
        "auth_time": int(sign_in.auth_time),
        "name": person.name,
        "preferred_username": person.username,
        "email": person.profile["mail"],
        **({"nonce": sign_in.nonce} if sign_in.nonce else {}),
        **_identity(tenancy, sign_in, person),
    }
    return tenancy.journal.issued("id_token", tenancy.signing.sign(claims), username=person.username, at=claims["iat"])


def _identity(tenancy: Tenancy, sign_in: SignIn, person: Person) -> dict[str, Any]:
    if sign_in.provider == "oidc":
        return {"sub": person.subject}
    oid = _oid(tenancy, sign_in)
    # App roles belong to the organisation that assigned them.
    roles = {"roles": person.roles} if person.roles and sign_in.client_id == tenancy.apps.web.client_id else {}
    return roles | {
        "oid": oid,
        "tid": sign_in.tid,
        "sub": _pairwise(sign_in.client_id, oid),
        "sid": sign_in.sid,
        "login_hint": base64url(f"hint {person.username}".encode()),
        "uti": secrets.token_urlsafe(16),
        "ver": "2.0",
    }
