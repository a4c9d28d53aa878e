"""Signing in and renewing tokens at a certified provider, whichever way it is configured."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from localdev.openid_provider import OpenIdProvider
from localdev.tenant.certificates import ClientCertificate
from shared.accounts import Outcome
from shared.errors import Misconfigured, SignInFailed
from tests.providers.people import acquire, enrol, sign_in
from tests.support import MakeServices


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"rotation": True},
        {"algorithm": "ES256"},
        {"algorithm": "ES384"},
        {"algorithm": "EdDSA"},
        {"algorithm": "PS256"},
        {"client_authentication": "client_secret_post"},
        {"client_authentications": ["client_secret_basic"]},
        {"client_authentication": "client_secret_post", "client_authentications": ["client_secret_post"]},
    ],
    ids=str,
)
def test_people_are_kept_signed_in(
    settings: dict[str, Any], make_services: MakeServices, provider: OpenIdProvider
) -> None:
    """Sign-in and refresh work with the library's own configuration, and with each of these changes."""
    provider.reset(access_token_seconds=50, **settings)
    app = make_services()
    account = enrol(app, provider)
    for _ in range(2):
        result = acquire(app, account)
        assert result.verdict.outcome is Outcome.FRESH
        account = result.renewed(account)
    counts = provider.counts()
    assert (counts["redeemed"], counts["reused"]) == (2, 0)


RSA, EC = jwt.algorithms.RSAAlgorithm, jwt.algorithms.ECAlgorithm


@pytest.mark.parametrize("algorithm", ["PS256", "ES256"])
def test_the_app_proves_itself_with_a_key(
    algorithm: str, make_services: MakeServices, provider: OpenIdProvider
) -> None:
    """`private_key_jwt`: the provider takes each assertion once, so each request has a new one."""
    if algorithm == "PS256":
        key: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = RSA.to_jwk(key.public_key(), as_dict=True)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        public = EC.to_jwk(key.public_key(), as_dict=True)
    provider.reset(access_token_seconds=50, client_authentication="private_key_jwt", client_keys={"keys": [public]})
    certificate = ClientCertificate.make("Understudy", key)
    app = make_services(CLIENT_SECRET="", CLIENT_CERTIFICATE=certificate.private_key + certificate.certificate)
    account = enrol(app, provider)
    outcomes = []
    for _ in range(2):
        result = acquire(app, account)
        outcomes.append(result.verdict.outcome)
        account = result.renewed(account)
    assert outcomes == [Outcome.FRESH] * 2


def test_a_provider_that_names_another_issuer_is_refused(make_services: MakeServices, provider: OpenIdProvider) -> None:
    """OpenID Connect Discovery 1.0, 4.3. MSAL accepts any issuer on the same host."""
    app = make_services(OIDC_AUTHORITY=provider.issuer.replace("localhost", "127.0.0.1"))
    with pytest.raises(Misconfigured, match="invalid_issuer"):
        app.identity.begin_sign_in()


def test_a_slash_at_the_end_makes_no_other_issuer(make_services: MakeServices, provider: OpenIdProvider) -> None:
    """The document decides; tokens are compared with what it says."""
    app = make_services(OIDC_AUTHORITY=provider.issuer + "/")
    assert enrol(app, provider).account_id == "ada"


@pytest.mark.parametrize("refuse", ["profile", "offline_access profile"])
def test_partial_consent_is_enough_for_a_refresh(
    refuse: str, make_services: MakeServices, provider: OpenIdProvider
) -> None:
    """A refresh asks for what was granted. Without `offline_access` there is nothing to refresh, and the app knows."""
    provider.reset(access_token_seconds=50)
    app = make_services()
    given = sign_in(app, provider, refuse=refuse)
    assert given.is_lasting == (refuse == "profile")
    if given.is_lasting:
        assert acquire(app, app.enrolment.save_sign_in(given)).verdict.outcome is Outcome.FRESH
        assert provider.counts()["refused"] == []


def test_new_keys_are_found_at_once(make_services: MakeServices, provider: OpenIdProvider) -> None:
    """The first sign-in after a change of keys fetches them again, although they are fresh; at most once a minute."""
    app = make_services()
    sign_in(app, provider)
    provider.rotate_keys()
    sign_in(app, provider, "ben")
    fetched = provider.counts()["keys_fetched"]
    assert fetched == 2
    provider.rotate_keys()
    with pytest.raises(SignInFailed, match="could not be verified"):
        sign_in(app, provider, "chiara")
    assert provider.counts()["keys_fetched"] == fetched


def test_a_provider_that_was_away_is_used_again(make_services: MakeServices, provider: OpenIdProvider) -> None:
    """Nobody is set aside meanwhile."""
    provider.reset(access_token_seconds=50)
    app = make_services()
    account = enrol(app, provider)
    provider.go_away()
    assert acquire(app, account).verdict.outcome is Outcome.UNAVAILABLE
    provider.come_back()
    assert acquire(app, account).verdict.outcome is Outcome.FRESH


@pytest.mark.parametrize(("rotation", "outcome"), [("strict", Outcome.UNAVAILABLE), ("grace", Outcome.FRESH)])
def test_a_lost_answer_is_asked_for_again_where_the_provider_has_a_grace_period(
    rotation: str, outcome: Outcome, make_services: MakeServices, provider: OpenIdProvider
) -> None:
    """This provider keeps its own default: a refresh token works again. With `strict`, the app must not rely on it."""
    provider.reset(access_token_seconds=50)
    app = make_services(REFRESH_TOKEN_ROTATION=rotation)
    account = enrol(app, provider)
    provider.lose_answers(1)
    assert acquire(app, account).verdict.outcome is outcome


def test_a_wrong_secret_is_the_operators_fault(make_services: MakeServices, provider: OpenIdProvider) -> None:
    """The log names the setting, and what the provider said; the person gets an apology."""
    app = make_services(CLIENT_SECRET="wrong")
    with pytest.raises(SignInFailed) as refused:
        sign_in(app, provider)
    assert refused.value.status == 500
    assert "CLIENT_SECRET" not in refused.value.detail
    assert "CLIENT_SECRET" in refused.value.diagnosis
    assert "invalid_client: client authentication failed" in refused.value.diagnosis
