"""The only MSAL calls of the app: sign-in, silent acquisition, on-behalf-of. Also checks tokens that others present."""

from shared.identity.acquisition import Acquisition
from shared.identity.bearer import BearerTokens, Caller
from shared.identity.confidential_client import Identity
from shared.identity.results import Acquired, SignedIn

__all__ = ["Acquired", "Acquisition", "BearerTokens", "Caller", "Identity", "SignedIn"]
