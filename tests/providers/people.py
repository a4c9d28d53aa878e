"""People who sign in at a certified provider."""

from urllib.parse import parse_qsl, urlsplit

from localdev.openid_provider import OpenIdProvider
from shared.accounts import Account
from shared.identity import Acquired, SignedIn
from shared.services import Services


def sign_in(app: Services, provider: OpenIdProvider, person: str = "ada", *, refuse: str = "") -> SignedIn:
    """Goes through the provider and agrees, without the scopes in `refuse`. Nothing is stored."""
    url, flow = app.identity.begin_sign_in(prompt="consent")
    callback = provider.sign_in(url, person, refuse=refuse)
    return app.identity.finish_sign_in(flow, dict(parse_qsl(urlsplit(callback).query)))


def enrol(app: Services, provider: OpenIdProvider, person: str = "ada", *, refuse: str = "") -> Account:
    """The stored account of somebody who signed in."""
    return app.enrolment.save_sign_in(sign_in(app, provider, person, refuse=refuse))


def acquire(app: Services, account: Account) -> Acquired:
    """A silent acquisition, as a sweep does it."""
    acquisition = app.identity.acquisition(account)
    if acquisition.prepare():
        acquisition.send()
    return acquisition.complete()
