"""One silent acquisition for one account, in three steps.

`prepare` opens the sealed token cache and runs MSAL up to the token request that it would send. `send` sends that
request. `complete` runs MSAL again with the answer, and seals the cache if it changed. Between the steps the caller can
take the row's lease or check it, or send the request by other means.

    acquisition = identity.acquisition(account)
    if acquisition.prepare():
        acquisition.send()
    acquired = acquisition.complete()
"""

import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from msal import ConfidentialClientApplication, SerializableTokenCache
from requests import RequestException

from shared.accounts import Account, Outcome, Verdict
from shared.clients.answers import HttpAnswer, Throttled, Unavailable
from shared.errors import SealError
from shared.identity import token_caches
from shared.identity.classification import classify, classify_empty_cache, classify_failure
from shared.identity.msal_http_client import MsalHttpClient, TokenRequest, TokenRequestHeld
from shared.identity.results import Acquired
from shared.settings import Settings

_SHORTLY = 60.0  # seconds: longer than a request lasts
_SHORT_LIFETIME = 600.0  # seconds: twice what MSAL takes off at the end


class Acquisition:
    """The three steps for one account; an object serves one acquisition.

    Args:
        connect: makes MSAL's HTTP client. Takes the stored id token, or "".
        build: makes MSAL's application. Takes a token cache and an HTTP client. Raises Throttled, Unavailable.
        claims: the resource's claims challenge (JSON text). A cached access token is not used then.
        now: the clock for the expiry that is recorded; MSAL reads its own.
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
        """Returns the token request that must be sent, or None when none is needed: `complete` has the result then."""
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
            if self._request is not None and (known := self._short_token()):
                self._request, self._acquired = None, known
        return self._request

    def send(self) -> None:
        """Sends the request that `prepare` returned. Raises nothing: a failure becomes part of the result."""
        assert self._http is not None
        assert self._request is not None
        try:
            self.receive(self._http.send(self._request))
        except (Throttled, Unavailable) as error:
            self.receive(error)

    def receive(self, answer: HttpAnswer | RequestException) -> None:
        """Takes the answer, or the failure, of a request that was sent by other means than `send`."""
        assert self._http is not None
        self._http.answer = answer

    def still_good(self) -> Acquired | None:
        """The access token that is cached, for whoever can't redeem now; None when it is good for less than a minute,
        or was challenged. MSAL gives none out in its last five minutes (`expires_in < 5*60`, msal/application.py)."""
        return self._cached(lambda _, left: left >= _SHORTLY)

    def _short_token(self) -> Acquired | None:
        """A cached access token of less than ten minutes, in the first half of its life. MSAL would take it for expired
        in its last five minutes, which may be all that it has; then every request would redeem."""

        def is_young(found: Mapping[str, Any], left: float) -> bool:
            lifetime = int(found["expires_on"]) - int(found.get("cached_at") or 0)
            wants_renewal = int(found.get("refresh_on") or sys.maxsize) <= time.time()
            return lifetime < _SHORT_LIFETIME and left >= max(lifetime / 2, _SHORTLY) and not wants_renewal

        return self._cached(is_young)

    def _cached(self, will_do: Callable[[Mapping[str, Any], float], bool]) -> Acquired | None:
        """The access token that is cached, if it will do: by its entry in the cache, and the seconds that it lasts."""
        if self._claims:
            return None
        client_id, host = self._settings.client_id, self._settings.authority_host
        found = token_caches.access_token(self._cache, self.account.scopes, client_id=client_id, host=host)
        seconds = int(found["expires_on"]) - time.time() if found else 0.0
        if found is None or not will_do(found, seconds):
            return None
        verdict = Verdict(Outcome.CACHED, token_expires_at=self._now() + timedelta(seconds=int(seconds)))
        return Acquired(verdict, str(found["secret"]))

    def complete(self) -> Acquired:
        """Returns the result, which always has a verdict. Raises TokenRequestHeld when the request was not sent."""
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
            self._acquired = self._conclude(result)

    def _conclude(self, result: Mapping[str, Any] | None) -> Acquired:
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
