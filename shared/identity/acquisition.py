"""One silent acquisition for one account, in three steps.

`prepare` opens the sealed token cache and runs MSAL up to the token request that it would send. `send` sends it.
`complete` runs MSAL again with the answer and seals the cache that it changed. The caller decides what happens between
the steps: take or look at the row's lease, or leave the sending to somebody else.

    acquisition = identity.acquisition(account)
    if acquisition.prepare():
        acquisition.send()
    acquired = acquisition.complete()
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from msal import ConfidentialClientApplication, SerializableTokenCache
from requests import RequestException

from shared.accounts import Account, Outcome, Verdict
from shared.clients.http import HttpAnswer, Throttled, Unavailable
from shared.errors import SealError
from shared.identity import token_caches
from shared.identity.classification import classify, classify_empty_cache, classify_failure
from shared.identity.msal_http_client import MsalHttpClient, TokenRequest, TokenRequestHeld
from shared.identity.results import Acquired
from shared.settings import Settings


class Acquisition:
    """See above.

    Args:
        connect: makes MSAL's HTTP client, for a stored id token.
        build: makes MSAL's application, on a token cache and an HTTP client. Raises Throttled, Unavailable.
        claims: a claims challenge of the resource: a cached access token will not do.
    """

    def __init__(
        self,
        account: Account,
        settings: Settings,
        *,
        connect: Callable[[str], MsalHttpClient],
        build: Callable[[SerializableTokenCache, MsalHttpClient], ConfidentialClientApplication],
        claims: str = "",
        now: Callable[[], datetime],
    ) -> None:
        self.account = account
        self._settings = settings
        self._connect = connect
        self._build = build
        self._claims = claims
        self._now = now
        self._cache = SerializableTokenCache()
        self._http: MsalHttpClient | None = None
        self._acquire_silently: Callable[[], Mapping[str, Any] | None] | None = None
        self._request: TokenRequest | None = None
        self._acquired: Acquired | None = None

    def prepare(self) -> TokenRequest | None:
        """The token request that must be sent; None when none is needed, and `complete` has the result already."""
        try:
            text = self._settings.key_ring.open_cache(self.account.sealed_cache, self.account.account_id)
            token_caches.deserialize(self._cache, text, host=self._settings.authority_host)
        except SealError as error:
            self._acquired = Acquired(Verdict(Outcome.UNREADABLE, code=error.reason))
        except ValueError:
            self._acquired = Acquired(Verdict(Outcome.UNREADABLE, code="token_cache"))
        else:
            self._http = self._connect(token_caches.stored_id_token(self._cache))
            self._run_msal()
        return self._request

    def send(self) -> None:
        """Sends the request that `prepare` gave. Raises nothing: what failed is in the result."""
        assert self._http is not None
        assert self._request is not None
        try:
            self.receive(self._http.send(self._request))
        except (Throttled, Unavailable) as error:
            self.receive(error)

    def receive(self, answer: HttpAnswer | RequestException) -> None:
        """What came of the request, for whoever sent it otherwise than by `send`."""
        assert self._http is not None
        self._http.answer = answer

    def complete(self) -> Acquired:
        """The result; every end is a verdict. Raises TokenRequestHeld when the request was not sent."""
        if self._request is not None:
            self._run_msal()
        assert self._acquired is not None
        return self._acquired

    def _run_msal(self) -> None:
        assert self._http is not None
        try:
            if self._acquire_silently is None:
                application = self._build(self._cache, self._http)
                known = next(iter(application.get_accounts()), None)
                self._acquire_silently = partial(
                    application.acquire_token_silent_with_error,
                    list(self.account.scopes),
                    known,
                    claims_challenge=self._claims or None,
                )
            result = self._acquire_silently()
        except TokenRequestHeld as held:
            if self._request is not None:
                raise
            self._request = held.request
        except (Throttled, Unavailable) as error:
            self._acquired = Acquired(classify_failure(error), sent=self._request is not None)
        else:
            self._acquired = self._read(result)

    def _read(self, result: Mapping[str, Any] | None) -> Acquired:
        sent = self._request is not None
        if result is None:
            host = self._settings.authority_host
            return Acquired(classify_empty_cache(self._cache, client_id=self._settings.client_id, host=host), sent=sent)
        if "access_token" not in result:
            return Acquired(classify(result), sent=sent)
        access_token = str(result["access_token"])
        fresh = result.get("token_source") == ConfidentialClientApplication._TOKEN_SOURCE_IDP
        if fresh:
            token_caches.drop_superseded(self._cache, access_token, self.account.scopes)
        expires_at = self._now() + timedelta(seconds=int(result.get("expires_in", 0)))
        sealed = None
        if self._cache.has_state_changed:
            sealed = self._settings.key_ring.seal_cache(self._cache.serialize(), self.account.account_id)
        return Acquired(
            Verdict(Outcome.FRESH if fresh else Outcome.CACHED, token_expires_at=expires_at),
            access_token,
            sealed,
            sent=sent,
        )
