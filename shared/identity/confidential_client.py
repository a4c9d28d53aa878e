"""MSAL's confidential client: one object per acquisition, with one person's token cache."""

import threading
import warnings
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from msal import ConfidentialClientApplication, SerializableTokenCache

from shared.accounts import Account, Outcome, Person, Source, Verdict
from shared.clients.answers import Throttled, Unavailable
from shared.clients.http import HttpClient
from shared.clock import utc_now
from shared.errors import SignInFailed
from shared.identity import token_caches
from shared.identity.acquisition import Acquisition
from shared.identity.authority import Authority
from shared.identity.classification import classify, classify_failure
from shared.identity.client_authentication import ClientAuthentication
from shared.identity.credentials import ClientCredential, client_credential
from shared.identity.metadata import AuthorityRefused, Metadata
from shared.identity.msal_http_client import MsalHttpClient
from shared.identity.results import Acquired, Exchanged, SignedIn, person_of
from shared.identity.sign_in_errors import discovery_failed, sign_in_refused, tenant_unreachable
from shared.identity.userinfo import read_userinfo
from shared.identity.verification import TokenRefused, Verifier
from shared.settings import Settings
from shared.settings_parsers import OIDC_SCOPES

_CAPABILITIES = [
    "CP1"
]  # this app handles claims challenges: "Claims challenges, claims requests, and client capabilities"


class Identity:
    """Signs people in and acquires tokens for them.

    Attributes:
        authority: the identity provider.
        wants_consent: does the provider give a refresh token only after `prompt=consent`? A sign-in has shown it, in
            this process.

    Args:
        now: the clock for the expiry that is recorded and the age of the authority's documents; MSAL reads its own.
        http_cache: gives MSAL's cache of HTTP answers. Each thread has one of its own when None, as MSAL locks it per
            application object only.
    """

    def __init__(
        self,
        settings: Settings,
        http: HttpClient,
        *,
        now: Callable[[], datetime] = utc_now,
        http_cache: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self._settings = settings
        self._http = http
        self._now = now
        self._metadata = Metadata(http, clock=lambda: now().timestamp())
        self.authority = Authority(settings, self._metadata)
        self.wants_consent = False
        self._authentication = ClientAuthentication(settings, self.authority)
        threads = threading.local()
        self._http_cache = http_cache or (lambda: vars(threads).setdefault("http_cache", {}))
        # A query keeps the SameSite=Lax cookies, which a form post would lose. PKCE binds the code; it works once.
        warnings.filterwarnings("ignore", message="response_mode='form_post' is recommended")

    def begin_sign_in(self, *, login_hint: str = "", prompt: str = "", claims: str = "") -> tuple[str, dict[str, Any]]:
        """Starts an authorization-code flow with PKCE, state and nonce.

        Returns:
            The URL to send the browser to, and the flow to keep for the callback. The flow is secret.

        Raises:
            TryLater, Misconfigured: the authority's discovery failed.
        """
        try:
            flow = self._build_application(SerializableTokenCache(), self._connect()).initiate_auth_code_flow(
                list(self._settings.scopes),
                redirect_uri=self._settings.redirect_uri,
                login_hint=login_hint or None,
                prompt=prompt or None,
                claims_challenge=None if self.authority.is_plain else claims or None,
            )
        except (Throttled, Unavailable) as error:
            raise discovery_failed(error) from error
        return self.authority.without_entras_parameters(str(flow.pop("auth_uri"))), flow

    def finish_sign_in(self, flow: Mapping[str, Any], response: Mapping[str, str]) -> SignedIn:
        """Redeems the code of the callback, and verifies the id token.

        Args:
            flow: from `begin_sign_in`. The caller has compared its state.
            response: the query parameters of the callback.

        Raises:
            SignInFailed: the tenant refused or can't be reached, the code was used, another issuer answered, or the id
                token is not valid.
        """
        cache = SerializableTokenCache()
        try:
            self._check_answerer(response)
            result = self._build_application(cache, self._connect()).acquire_token_by_auth_code_flow(
                dict(flow), dict(response)
            )
        except (Throttled, Unavailable) as error:
            raise tenant_unreachable(error) from error
        except (ValueError, RuntimeError) as error:  # MSAL's for a state or nonce that does not match
            raise SignInFailed("Start again from the first page.", code="mismatch") from error
        if "error" in result:
            raise sign_in_refused(result | {"correlation_id": result.get("correlation_id", "")})
        return self._verify_sign_in(result, cache)

    def acquisition(self, account: Account, *, claims: str = "") -> Acquisition:
        """A silent acquisition for the scopes that this person granted. Nothing is sent yet.

        Args:
            claims: the resource's claims challenge (JSON text). A cached access token is not used then.
        """
        # In the tenant of the exchange: /organizations would send a guest's refresh token to their home tenant.
        tenant_id = account.tenant_id if account.source is Source.ON_BEHALF_OF else ""
        return Acquisition(
            account,
            self._settings,
            connect=lambda id_token: self._connect(id_token=id_token, holds_requests=True),
            build=lambda cache, http: self._build_application(cache, http, tenant_id=tenant_id),
            claims=claims,
            now=self._now,
        )

    def exchange_token(self, person: Person, token: str, *, claims: str = "") -> Exchanged:
        """Exchanges an access token for this app's API for tokens for Microsoft Graph ("Microsoft identity platform
        and OAuth 2.0 On-Behalf-Of flow"), in the tenant that issued the token.

        Args:
            person: whom the token is for.
            token: a verified bearer token.
            claims: Graph's claims challenge (JSON text).

        Raises:
            SignInFailed: the answer is for somebody else, or its id token is not valid.
        """
        cache = SerializableTokenCache()
        try:
            # With the shared cache MSAL would repeat a refusal of this token for a minute, even after consent.
            application = self._build_application(cache, self._connect(), tenant_id=person.tenant_id, http_cache={})
            result = application.acquire_token_on_behalf_of(
                token, list(self._settings.scopes), claims_challenge=claims or None
            )
        except (Throttled, Unavailable) as error:
            return Exchanged(Acquired(classify_failure(error)))
        if "access_token" not in result:
            return Exchanged(Acquired(classify(result), sent=True))
        signed_in = self._verify_sign_in(result, cache)
        if signed_in.person.account_id != person.account_id:
            raise SignInFailed("The identity provider answered for somebody else.", code="other_person")
        verdict = Verdict(Outcome.FRESH, token_expires_at=signed_in.expires_at)
        return Exchanged(Acquired(verdict, str(result["access_token"]), sent=True), signed_in)

    def read_userinfo(self, access_token: str, *, subject: str) -> dict[str, str]:
        """What a plain OpenID provider tells about a person: see userinfo.py."""
        return read_userinfo(self._http, self.authority, access_token, subject=subject)

    @cached_property
    def verifier(self) -> Verifier:
        """Verifies tokens that this authority issued."""
        return Verifier(self._metadata, self.authority.document, tenants=not self.authority.is_plain)

    def _check_answerer(self, response: Mapping[str, str]) -> None:
        """Raises SignInFailed when `iss` in the callback names another issuer, or is missing although the provider says
        that it sends it (RFC 9207, 2.4; Entra doesn't). So no code goes to a token endpoint that it is not from.

        An issuer for many tenants is a template ("Access tokens in the Microsoft identity platform: multitenant").

        Raises:
            Throttled, Unavailable: discovery failed.
        """
        document = self.authority.document()
        start, template, end = str(document.get("issuer", "")).partition("{tenantid}")
        answerer = response.get("iss")
        if answerer is None:
            matches = document.get("authorization_response_iss_parameter_supported") is not True
        elif template:
            matches = answerer.startswith(start) and answerer.endswith(end)
        else:
            matches = answerer == start
        if not matches:
            raise SignInFailed(
                "Another identity provider answered. Start again from the first page.", code="answer_issuer"
            )

    @cached_property
    def _credential(self) -> ClientCredential:
        return client_credential(self._settings, self.authority)

    def _connect(self, *, id_token: str = "", holds_requests: bool = False) -> MsalHttpClient:
        return MsalHttpClient(
            self._http,
            self._metadata,
            self.authority,
            self._authentication,
            id_token=id_token,
            holds_requests=holds_requests,
            repeatable=self._settings.repeats_refreshes,
        )

    def _build_application(
        self,
        cache: SerializableTokenCache,
        http_client: MsalHttpClient,
        *,
        tenant_id: str = "",
        http_cache: dict[str, Any] | None = None,
    ) -> ConfidentialClientApplication:
        """Builds MSAL's application, which fetches the authority's discovery document.

        Args:
            tenant_id: the tenant to ask, where AUTHORITY is for many.
            http_cache: MSAL's cache of HTTP answers, instead of the usual one.

        Raises:
            Throttled, Unavailable: discovery failed.
        """
        authority = self._settings.authority
        if tenant_id and self._settings.multi_tenant:
            authority = f"{authority.rpartition('/')[0]}/{tenant_id}"
        try:
            return ConfidentialClientApplication(
                self._settings.client_id,
                client_credential=self._credential,
                authority=authority or None,
                oidc_authority=self.authority.msal_authority,
                token_cache=cache,
                http_client=http_client,
                http_cache=self._http_cache() if http_cache is None else http_cache,
                instance_discovery=False,  # the settings name the authority; MSAL need not ask another host about it
                client_capabilities=None if self.authority.is_plain else _CAPABILITIES,
                exclude_scopes=None if self.authority.knows_offline_access else ["offline_access"],
            )
        except (ValueError, KeyError) as error:  # MSAL's for another issuer, or a document without endpoints
            raise AuthorityRefused({"error": "invalid_issuer"}) from error

    def _verify_sign_in(self, result: Mapping[str, Any], cache: SerializableTokenCache) -> SignedIn:
        """Verifies the id token. Returns what the sign-in gave, or raises SignInFailed."""
        try:
            claims = self.verifier.verify_id_token(str(result.get("id_token", "")), client_id=self._settings.client_id)
        except (Throttled, Unavailable) as error:
            raise tenant_unreachable(error) from error
        except TokenRefused as error:
            detail = "The identity provider's answer could not be verified. Start again from the first page."
            raise SignInFailed(detail, code=f"id_token_{error.reason}") from error
        if self.authority.is_plain and not (claims.get("preferred_username") and claims.get("name")):
            told = self.read_userinfo(str(result.get("access_token", "")), subject=str(claims["sub"]))
            claims = told | claims
        person = person_of(
            claims, home_account_id=token_caches.home_account_id(cache), oidc=bool(self._settings.oidc_authority)
        )
        granted = str(result.get("scope") or " ".join(self._settings.scopes)).split()
        scopes = tuple(each for each in granted if each.lower() not in OIDC_SCOPES)
        if not self.authority.is_plain:
            scopes = scopes or self._settings.scopes
        expires_at = self._now() + timedelta(seconds=int(result.get("expires_in", 0)))
        lasting = token_caches.has_refresh_token(cache)
        return SignedIn(person, scopes, expires_at, cache.serialize(), is_lasting=lasting)
