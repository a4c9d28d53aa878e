"""Signing in and renewing tokens at a certified provider, whichever way it is configured."""

from typing import Any

import pytest

from localdev.openid_provider import OpenIdProvider
from shared.accounts import Account, Outcome
from shared.identity import Acquired
from shared.services import Services
from tests.providers.conftest import SignIn
from tests.support import MakeServices


def acquire(app: Services, account: Account) -> Acquired:
    """A silent acquisition, as a sweep does it."""
    acquisition = app.identity.acquisition(account)
    if acquisition.prepare():
        acquisition.send()
    return acquisition.complete()


def enrolled(app: Services, signed_in: SignIn, person: str = "ada", **options: str) -> Account:
    """The stored account of somebody who signed in and agreed."""
    return app.enrolment.save_sign_in(signed_in(app, person, prompt="consent", **options))


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
    settings: dict[str, Any], make_services: MakeServices, provider: OpenIdProvider, signed_in: SignIn
) -> None:
    """Sign-in and refresh work with the library's own configuration, and with each of these changes."""
    provider.reset(access_token_seconds=50, **settings)
    app = make_services()
    account = enrolled(app, signed_in)
    for _ in range(2):
        result = acquire(app, account)
        assert result.verdict.outcome is Outcome.FRESH
        account = result.renewed(account)
    counts = provider.counts()
    assert (counts["redeemed"], counts["reused"]) == (2, 0)
