"""Who talks to the sample tenant in these tests: real MSAL apps, a raw HTTP client, a clock that can be moved."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msal
import requests
from requests.adapters import HTTPAdapter

from localdev.tenant import CONTOSO, SampleTenant, Visitor

CALLBACK = "http://localhost:7071/signin/callback"
ADA, BEN, GRETA, HUGO = "ada@contoso.example", "ben@contoso.example", "greta@fabrikam.example", "hugo@fabrikam.example"


class Clock:
    """The real time, plus `ahead` seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.ahead


def session(tenant: SampleTenant) -> requests.Session:
    """An HTTP client that trusts the tenant, whatever this machine's environment says."""
    http = requests.Session()
    http.trust_env = False
    http.verify = str(tenant.ca_bundle)
    http.mount("https://localhost/", _PortKept(tenant))
    return http


class _PortKept(HTTPAdapter):
    """MSAL forgets the authority's port when it asks for a user realm."""

    def __init__(self, tenant: SampleTenant) -> None:
        super().__init__()
        self._base = tenant.authority_of("")

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Called by the session."""
        request.url = self._base + str(request.url).removeprefix("https://localhost/")
        return super().send(request, *args, **options)


class WebApp:
    """The web app on MSAL, with its own token cache. MSAL remembers errors for a minute, so each call has a new app."""

    def __init__(self, tenant: SampleTenant, **options: Any) -> None:
        self.tenant = tenant
        self.cache = msal.TokenCache()
        self.http = session(tenant)
        defaults = {"client_id": tenant.client_id, "client_credential": tenant.client_secret}
        if "oidc_authority" not in options:
            defaults["authority"] = tenant.authority
        self.options = defaults | options

    @property
    def msal(self) -> Any:
        """MSAL as the app would build it."""
        return msal.ConfidentialClientApplication(
            **self.options, instance_discovery=False, http_client=self.http, token_cache=self.cache
        )

    def flow(self, *scopes: str, **options: Any) -> dict[str, Any]:
        """A sign-in about to begin."""
        wanted = {"redirect_uri": CALLBACK, "response_mode": "form_post"} | options
        return dict(self.msal.initiate_auth_code_flow(list(scopes or ("User.Read",)), **wanted))

    def sign_in(self, username: str, *scopes: str, visitor: Visitor | None = None, **options: Any) -> dict[str, Any]:
        """The whole sign-in; MSAL's result."""
        flow = self.flow(*scopes, **options)
        url = (visitor or Visitor()).sign_in(flow["auth_uri"], username)
        return dict(self.msal.acquire_token_by_auth_code_flow(flow, answer_in(url)))

    def silent(self, *scopes: str, **options: Any) -> dict[str, Any]:
        """A silent refresh for the only account; MSAL's result."""
        app = self.msal
        wanted = {"force_refresh": True} | options
        (account,) = app.get_accounts()
        found = app.acquire_token_silent_with_error(list(scopes or ("User.Read",)), account, **wanted)
        assert found is not None, "MSAL found nothing to refresh with"
        return dict(found)

    def refresh_token(self) -> str:
        """The newest refresh token in the cache."""
        found = list(self.cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN))
        return str(found[-1]["secret"])


def desktop(tenant: SampleTenant, segment: str = CONTOSO.tid) -> Any:
    """The desktop client on MSAL."""
    return msal.PublicClientApplication(
        tenant.desktop_client_id,
        authority=tenant.authority_of(segment),
        instance_discovery=False,
        http_client=session(tenant),
    )


def answer_in(url: str) -> dict[str, str]:
    """What a redirect tells the app."""
    return dict(parse_qsl(urlsplit(url).query))


def code_in(url: str) -> str:
    """The code in a redirect."""
    return answer_in(url)["code"]


def post_token(
    tenant: SampleTenant, form: Mapping[str, str], *, segment: str = "", **options: Any
) -> requests.Response:
    """A raw token request of the web app; "" leaves a parameter out."""
    url = tenant.oidc_authority + "/token" if segment == "oidc" else token_url(tenant, segment)
    everything = {"client_id": tenant.client_id, "client_secret": tenant.client_secret, **form}
    return session(tenant).post(url, {name: value for name, value in everything.items() if value}, **options)


def token_url(tenant: SampleTenant, segment: str = "") -> str:
    """The token endpoint of an authority."""
    return tenant.authority_of(segment or tenant.tenant_id) + "/oauth2/v2.0/token"


def refresh(tenant: SampleTenant, token: str, **form: str) -> requests.Response:
    """A raw refresh."""
    return post_token(tenant, {"grant_type": "refresh_token", "refresh_token": token, **form})


def claims_in(token: str) -> dict[str, Any]:
    """A JWT's claims, unchecked."""
    middle = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))))


def graph_get(tenant: SampleTenant, path: str, token: str, **options: Any) -> requests.Response:
    """A Graph request with a bearer token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return session(tenant).get(f"{tenant.graph_url}/v1.0{path}", headers=headers, **options)
