"""Forged tokens and wrong ones: the running app refuses each with its own reason."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localdev.tenant import FABRIKAM, SampleTenant
from tests.localdev.tenant_actors import WebApp, claims_in, session
from tests.running_app import RunningApp
from tests.web_api.api_client import api_token, call, challenge_in, problem_in

BEN, GRETA = "ben@contoso.example", "greta@fabrikam.example"
Forge = Callable[[SampleTenant, str], str]


def changed(**changes: Any) -> Forge:
    """The token with other claims, signed by the tenant itself. None removes a claim."""

    def forge(tenant: SampleTenant, token: str) -> str:
        claims = claims_in(token) | changes
        return tenant.sign({name: value for name, value in claims.items() if value is not None})

    return forge


def instead(text: str) -> Forge:
    """No token at all."""
    return lambda *_: text


def signed_by_a_stranger(known_kid: bool) -> Forge:
    """Another key, under the tenant's key ID or its own."""

    def forge(tenant: SampleTenant, token: str) -> str:
        kid = jwt.get_unverified_header(token)["kid"] if known_kid else "stranger"
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(claims_in(token), key, algorithm="RS256", headers={"kid": kid})

    return forge


def unsigned(tenant: SampleTenant, token: str) -> str:
    """`alg: none`."""
    return _part({"alg": "none", "typ": "JWT", "kid": _header(token)["kid"]}) + "." + token.split(".")[1] + "."


def of_type(typ: str) -> Forge:
    """Signed by the tenant itself, as another kind of token."""

    def forge(tenant: SampleTenant, token: str) -> str:
        return tenant.sign(claims_in(token), typ=typ)

    return forge


def hmac_with_the_public_key(tenant: SampleTenant, token: str) -> str:
    """HS256: a verifier that took the public key for a shared secret would accept it."""
    kid = _header(token)["kid"]
    keys = session(tenant).get(f"{tenant.authority}/discovery/v2.0/keys").json()["keys"]
    public: Any = jwt.PyJWK(next(each for each in keys if each["kid"] == kid)).key
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = _part({"alg": "HS256", "typ": "JWT", "kid": kid}) + "." + token.split(".")[1]
    return head + "." + _base64(hmac.new(pem, head.encode(), hashlib.sha256).digest())


def id_token(tenant: SampleTenant, token: str) -> str:
    """A real id token of the web app: same audience, same signature, same person."""
    return str(WebApp(tenant).sign_in(BEN)["id_token"])


def tampered(tenant: SampleTenant, token: str) -> str:
    """Other claims under the old signature."""
    head, _, signature = token.split(".")
    return f"{head}.{_part(claims_in(token) | {'oid': 'somebody-else'})}.{signature}"


def about_its_own_app(tenant: SampleTenant, token: str) -> str:
    """An app's own token, of an app without roles: its subject is the app's object in the directory."""
    claims = claims_in(token)
    return changed(scp=None, sub=claims["oid"])(tenant, token)


APP_ONLY = {"scp": None, "roles": ["Everything.Do"], "preferred_username": None}
HOUR = 3600

EVIL = [
    (signed_by_a_stranger(known_kid=True), 401, "token_signature"),
    (signed_by_a_stranger(known_kid=False), 401, "token_unknown_key"),
    (tampered, 401, "token_signature"),
    (unsigned, 401, "token_algorithm"),
    (hmac_with_the_public_key, 401, "token_algorithm"),
    (changed(exp=int(time.time()) - 300), 401, "token_expired"),
    (changed(nbf=int(time.time()) + HOUR), 401, "token_not_yet_valid"),
    (changed(aud="https://graph.microsoft.com"), 401, "token_audience"),
    (changed(aud=None), 401, "token_audience"),
    (changed(iss="https://login.evil.example/v2.0"), 401, "token_issuer"),
    (changed(iss=None), 401, "token_issuer"),
    (changed(tid=FABRIKAM.tid), 401, "token_issuer"),
    (changed(tid=None), 401, "token_issuer"),
    (changed(ver="1.0"), 401, "token_version"),
    (changed(scp=None), 403, "token_scope"),
    (changed(scp="something_else access_as_user_too"), 403, "token_scope"),
    (changed(**APP_ONLY), 403, "token_app_only"),
    (about_its_own_app, 403, "token_app_only"),
    (changed(scp=None, idtyp="app"), 403, "token_app_only"),
    (changed(idtyp="app"), 403, "token_app_only"),
    (id_token, 401, "token_id_token"),
    (changed(oid=None), 401, "token_claims"),
    (changed(sub=None), 401, "token_claims"),
    (of_type("logout+jwt"), 401, "token_type"),
    (changed(exp=None), 401, "token_claims"),
    (changed(exp="tomorrow"), 401, "token_claims"),
    (changed(nbf="now"), 401, "token_claims"),
    (changed(nbf=None, iat=None), 401, "token_claims"),
    (changed(filler="x" * 16_000), 401, "token_oversized"),
    (instead("garbage"), 401, "token_malformed"),
    (instead("e30.e30.e30"), 401, "token_algorithm"),
    (instead(".."), 401, "token_malformed"),
    (instead("one,two"), 401, "token_malformed"),
]


@pytest.mark.parametrize(("forge", "status", "code"), EVIL)
def test_an_evil_token_is_refused_with_its_own_reason(app: RunningApp, forge: Forge, status: int, code: str) -> None:
    """Status, error and description follow RFC 6750. There is no exchange, and nothing is stored."""
    refused = call(app, forge(app.tenant, api_token(app.tenant, BEN)))
    assert (refused.status_code, problem_in(refused)["code"]) == (status, code)
    challenge = challenge_in(refused)
    assert challenge["error"] == ("invalid_token" if status == 401 else "insufficient_scope")
    assert challenge["error_description"] == problem_in(refused)["detail"]
    assert challenge.get("scope") == (None if status == 401 else f"api://{app.tenant.client_id}/access_as_user")
    assert app.tenant.log()["on_behalf_of_redeemed"] == 0
    assert app.accounts() == []


def test_a_client_is_told_when_the_keys_may_be_had_again(app: RunningApp) -> None:
    """The authority fails once. That is remembered, and Retry-After says for how long."""
    app.tenant.add_fault("keys", "status", status=503, times=1)
    for _ in range(2):
        refused = call(app, signed_by_a_stranger(known_kid=False)(app.tenant, api_token(app.tenant, BEN)))
        assert (refused.status_code, problem_in(refused)["code"]) == (503, "identity_provider")
        assert 30 < int(refused.headers["Retry-After"]) <= 60


@pytest.mark.parametrize("authorization", ["", "Basic YTpi", "Bearerx y"])
def test_no_token_is_answered_by_a_challenge_without_an_error(app: RunningApp, authorization: str) -> None:
    """RFC 6750, 3.1: a request without a token made no mistake. A token in the query does not count."""
    refused = call(app, Authorization=authorization) if authorization else call(app)
    assert (refused.status_code, problem_in(refused)["code"]) == (401, "token_missing")
    assert set(challenge_in(refused)) == {"realm", "authorization_uri"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_every_method_checks_the_token(app: RunningApp, method: str) -> None:
    """DELETE checks it as GET does."""
    evil = changed(scp="something_else")(app.tenant, api_token(app.tenant, BEN))
    assert call(app, evil, method).status_code == 403


def test_both_forms_of_the_audience_are_taken(app: RunningApp) -> None:
    """The client ID, and the application ID URI that tokens of some registrations carry."""
    token = api_token(app.tenant, BEN)
    call(app, token)
    assert claims_in(token)["aud"] == app.tenant.client_id
    other = changed(aud=f"api://{app.tenant.client_id}")(app.tenant, token)
    assert call(app, other).status_code == 200


def test_a_token_just_out_of_step_is_taken(app: RunningApp) -> None:
    """Clocks may differ by up to two minutes."""
    token = api_token(app.tenant, BEN)
    call(app, token)
    for each in (changed(exp=int(time.time()) - 60), changed(nbf=int(time.time()) + 60)):
        assert call(app, each(app.tenant, token)).status_code == 200


def test_a_foreign_tenant_is_refused_by_the_allow_list(start_app: Callable[..., RunningApp]) -> None:
    """When AUTHORITY serves many tenants, a foreign one has its own reason, and the listed one is accepted."""
    tenant = start_app().tenant
    app = start_app(AUTHORITY=tenant.authority_of("organizations"), ALLOWED_TENANTS=tenant.tenant_id)
    foreign = call(app, api_token(tenant, GRETA, FABRIKAM.tid))
    assert (foreign.status_code, problem_in(foreign)["code"]) == (401, "token_tenant")
    assert call(app, api_token(tenant, BEN)).status_code == 200


def test_a_foreign_tenant_is_another_issuer_to_a_single_tenant_app(app: RunningApp) -> None:
    """The same keys sign it, and still it is refused."""
    foreign = call(app, api_token(app.tenant, GRETA, FABRIKAM.tid))
    assert (foreign.status_code, problem_in(foreign)["code"]) == (401, "token_issuer")


def test_a_multi_tenant_issuer_must_be_the_one_of_the_tokens_own_tenant(start_app: Callable[..., RunningApp]) -> None:
    """The issuer template is filled in with `tid`, so another tenant's issuer is refused."""
    tenant = start_app().tenant
    app = start_app(AUTHORITY=tenant.authority_of("organizations"))
    evil = changed(tid=FABRIKAM.tid)(tenant, api_token(tenant, BEN))
    assert problem_in(call(app, evil))["code"] == "token_issuer"


def test_the_token_is_never_answered_or_logged(app: RunningApp, caplog: pytest.LogCaptureFixture) -> None:
    """Neither whole nor in part."""
    caplog.set_level("DEBUG")
    token = changed(scp="something_else")(app.tenant, api_token(app.tenant, BEN))
    refused = call(app, token)
    own = [each.getMessage() for each in caplog.records if each.name.startswith(("shared", "web_api"))]
    assert own
    for text in (refused.text, str(refused.headers), *own):
        assert token.split(".")[1] not in text


def _header(token: str) -> dict[str, Any]:
    return dict(jwt.get_unverified_header(token))


def _part(content: dict[str, Any]) -> str:
    return _base64(json.dumps(content).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
