"""The only MSAL calls: sign-in, silent acquisition, on-behalf-of; and what every answer of the token endpoint means."""

from shared.identity.acquisition import Acquisition
from shared.identity.bearer import BearerTokens, Caller
from shared.identity.confidential_client import Identity
from shared.identity.results import Acquired, SignedIn

__all__ = ["Acquired", "Acquisition", "BearerTokens", "Caller", "Identity", "SignedIn"]
