"""The only MSAL calls: sign-in, silent acquisition, on-behalf-of; and what every answer of the token endpoint means."""

from shared.identity.bearer import BearerTokens, Caller
from shared.identity.client import Identity
from shared.identity.results import Acquired, SignedIn
from shared.identity.token_client import LeaseNeeded

__all__ = ["Acquired", "BearerTokens", "Caller", "Identity", "LeaseNeeded", "SignedIn"]
