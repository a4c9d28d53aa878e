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

from localdev.tenant import FABRIKAM, SampleTenant
from localdev.tenant.visitor import Visitor
from shared.clients.answers import HttpAnswer
from shared.clients.http import HttpClient
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


def of_type(typ: str) -> Forge:
    """The right claims, signed by the tenant, as a token of this type."""
    return lambda tenant, claims: tenant.sign(claims, typ=typ)


def for_audiences(*others: str, **changes: str) -> Forge:
    """For this app and others."""
    return lambda tenant, claims: tenant.sign(claims | {"aud": [claims["aud"], *others]} | changes)


# Each is refused by one check alone. OpenID Connect Core 1.0, 2 (`sub`) and 3.1.3.7 (`aud`, `azp`); RFC 7519, 5.1.
NOT_FOR_US: Mapping[str, tuple[Forge, str]] = {
    "for another app too": (for_audiences("another"), "id_token_audience"),
    "for this app and another, as its authorized party": (
        lambda tenant, claims: for_audiences("another", azp=claims["aud"])(tenant, claims),
        "id_token_audience",
    ),
    "for this app twice, without an authorized party": (
        lambda tenant, claims: for_audiences(claims["aud"])(tenant, claims),
        "id_token_audience",
    ),
    "for nobody": (changed(aud=[]), "id_token_audience"),
    "issued to another app": (changed(azp="another"), "id_token_audience"),
    "issued to nobody": (changed(azp=""), "id_token_audience"),
    "without a subject": (changed(sub=None), "id_token_claims"),
    "with a subject that is no text": (changed(sub=5), "id_token_claims"),
    "of a tenant that is not its issuer's": (changed(tid=FABRIKAM.tid), "id_token_issuer"),
    "an access token": (of_type("at+jwt"), "id_token_type"),
    "a logout token": (of_type("logout+jwt"), "id_token_type"),
}
FOR_US: Mapping[str, Forge] = {
    "unchanged": lambda tenant, claims: tenant.sign(claims),
    "issued to this app": lambda tenant, claims: changed(azp=claims["aud"])(tenant, claims),
    "with a list of one audience": for_audiences(),
    "of a type in small letters": of_type("jwt"),
    "of a type in full": of_type("application/JWT"),
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


@pytest.mark.parametrize("kind", NOT_FOR_US)
def test_id_token_that_the_tenant_signed_for_something_else_signs_nobody_in(
    kind: str, sample_tenant: SampleTenant, make_services: Callable[..., Services]
) -> None:
    """The refusal says which check it was."""
    forge, code = NOT_FOR_US[kind]
    with pytest.raises(SignInFailed) as refused:
        signed_in_with(lambda claims: forge(sample_tenant, claims), make_services())
    assert refused.value.code == code


@pytest.mark.parametrize("kind", FOR_US)
def test_id_token_for_this_app_signs_in(
    kind: str, sample_tenant: SampleTenant, make_services: Callable[..., Services]
) -> None:
    """The tests above refuse the forgery and nothing else."""
    account_id = signed_in_with(lambda claims: FOR_US[kind](sample_tenant, claims), make_services())
    assert account_id.endswith(sample_tenant.tenant_id)
