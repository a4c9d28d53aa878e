"""Id tokens that the tenant never meant for this sign-in: an attacker who can change its answers still signs nobody
in."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from localdev.tenant import SampleTenant
from localdev.tenant.visitor import Visitor
from shared.clients.http import HttpAnswer, HttpClient
from shared.errors import SignInFailed
from shared.identity import Identity
from shared.services import Services

ADA = "ada@contoso.example"
Forge = Callable[[SampleTenant, dict[str, Any]], str]


class Tampering(HttpClient):
    """The app's HTTP client, with an attacker who replaces the token endpoint's id tokens."""

    def __init__(self, forge: Callable[[dict[str, Any]], str], **options: Any) -> None:
        super().__init__(**options)
        self._forge = forge

    def request(self, method: str, url: str, **options: Any) -> HttpAnswer:
        """See HttpClient."""
        answer = super().request(method, url, **options)
        if method != "POST":
            return answer
        body = json.loads(answer.content)
        claims = jwt.decode(body["id_token"], options={"verify_signature": False})
        return HttpAnswer(200, answer.headers, json.dumps(body | {"id_token": self._forge(claims)}).encode())


def changed(**changes: Any) -> Forge:
    """Signed by the tenant, with other claims; None takes a claim away."""

    def forge(tenant: SampleTenant, claims: dict[str, Any]) -> str:
        return tenant.sign({name: value for name, value in (claims | changes).items() if value is not None})

    return forge


def by_a_stranger(tenant: SampleTenant, claims: dict[str, Any]) -> str:
    """The right claims, under the tenant's key id, with somebody else's key."""
    kid = jwt.get_unverified_header(tenant.sign({}))["kid"]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})


def unsigned(_: SampleTenant, claims: dict[str, Any]) -> str:
    """alg: none."""
    return jwt.encode(claims, "", algorithm="none")


def with_the_client_secret(tenant: SampleTenant, claims: dict[str, Any]) -> str:
    """Signed symmetrically, with what an insider of this app may know."""
    return jwt.encode(claims, tenant.client_secret, algorithm="HS256")


def tampered(tenant: SampleTenant, claims: dict[str, Any]) -> str:
    """Another person's oid under the old signature."""
    head, body, signature = tenant.sign(claims).split(".")
    content = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | {"oid": "another"}
    return ".".join((head, base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("="), signature))


FORGERIES: Mapping[str, Forge] = {
    "signed by a stranger": by_a_stranger,
    "not signed": unsigned,
    "signed with the client secret": with_the_client_secret,
    "tampered": tampered,
    "for another app": changed(aud="another"),
    "from another issuer": changed(iss="https://evil.example/v2.0"),
    "expired": changed(exp=1_600_000_000),
    "not valid yet": changed(nbf=4_000_000_000),
    "without an end": changed(exp=None),
    "for another sign-in": changed(nonce="another"),
    "for no sign-in": changed(nonce=None),
    "of nobody": changed(oid=None),
    "of no tenant": changed(tid=None),
    "no token": lambda *_: "",
    "half a token": lambda *_: "eyJhbGciOiJSUzI1NiJ9.e30",
}


def signed_in_with(forge: Callable[[dict[str, Any]], str], parts: Services) -> str:
    """Signs Ada in with a forged id token and returns the account_id."""
    http = Tampering(forge, ca_bundle=parts.settings.ca_bundle)
    identity = Identity(parts.settings, http)
    try:
        url, flow = identity.begin_sign_in()
        back = parse_qs(urlsplit(Visitor().sign_in(url, ADA)).query)
        return identity.finish_sign_in(flow, {name: values[0] for name, values in back.items()}).person.account_id
    finally:
        http.close()


@pytest.mark.parametrize("kind", FORGERIES)
def test_forged_id_token_signs_nobody_in(
    kind: str, sample_tenant: SampleTenant, make_services: Callable[..., Services]
) -> None:
    """Every forgery ends in a refused sign-in."""
    with pytest.raises(SignInFailed):
        signed_in_with(lambda claims: FORGERIES[kind](sample_tenant, claims), make_services())


def test_unchanged_id_token_signs_in(sample_tenant: SampleTenant, make_services: Callable[..., Services]) -> None:
    """The test above refuses the forgery and nothing else."""
    account_id = signed_in_with(sample_tenant.sign, make_services())
    assert account_id.endswith(sample_tenant.tenant_id)
