"""Metadata: OpenID configuration for every tenant and the plain provider, signing keys, instances, user realms."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localdev.tenant.errors import EntraError
from localdev.tenant.people import ORGANISATIONS, tenants_of
from localdev.tenant.tenancy import Tenancy
from localdev.tenant.token_endpoint import refusal

# The user realm endpoint says that people of this domain sign in elsewhere.
FEDERATED_DOMAIN = "adatum.example"


class Discovery:
    """The handlers."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    async def configuration(self, request: Request) -> Response:
        """GET /{tenant}/v2.0/.well-known/openid-configuration."""
        return self._disturbed("discovery", request, self._entra)

    async def oidc_configuration(self, request: Request) -> Response:
        """GET /oidc/.well-known/openid-configuration."""
        return self._disturbed("discovery", request, lambda _: self._plain())

    async def keys(self, request: Request) -> Response:
        """GET /{tenant}/discovery/v2.0/keys and /oidc/keys."""
        return self._disturbed("keys", request, self._keys)

    async def instance(self, request: Request) -> Response:
        """GET /common/discovery/instance: this host is the only instance."""
        return self._disturbed("discovery", request, lambda _: self._instance())

    async def user_realm(self, request: Request) -> Response:
        """GET /common/userrealm/{username}."""
        username = str(request.path_params["username"])
        fault = self._tenancy.faults.take("userrealm", username)
        return self._tenancy.faults.answer(fault, lambda: JSONResponse(self._realm(username)))

    def _disturbed(self, where: str, request: Request, make: Callable[[str], dict[str, Any]]) -> Response:
        def work() -> Response:
            try:
                return JSONResponse(make(str(request.path_params.get("tenant", "oidc"))))
            except EntraError as error:
                return refusal(self._tenancy, error, request)

        return self._tenancy.faults.answer(self._tenancy.faults.take(where), work)

    def _keys(self, segment: str) -> dict[str, Any]:
        if segment == "oidc":
            return {"keys": [self._tenancy.signing.jwk(f"{self._tenancy.back}/oidc")]}
        tids = tenants_of(segment)
        name = tids[0] if len(tids) == 1 else "{tenantid}"
        return {"keys": [self._tenancy.signing.jwk(f"{self._tenancy.back}/{name}/v2.0")]}

    def _entra(self, segment: str) -> dict[str, Any]:
        tids = tenants_of(segment)
        # Entra answers with the tenant's GUID, whatever name was used, and with a placeholder for common.
        name, shown = (tids[0], tids[0]) if len(tids) == 1 else (segment.lower(), "{tenantid}")
        back, page = self._tenancy.back, self._tenancy.page
        return _claims() | {
            "issuer": f"{back}/{shown}/v2.0",
            "token_endpoint": f"{back}/{name}/oauth2/v2.0/token",
            "authorization_endpoint": f"{page}/{name}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{back}/{name}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{page}/{name}/oauth2/v2.0/logout",
            "jwks_uri": f"{back}/{name}/discovery/v2.0/keys",
            "tenant_region_scope": "EU",
            "cloud_instance_name": back.removeprefix("https://"),
            "msgraph_host": self._tenancy.graph.removeprefix("http://"),
        }

    def _plain(self) -> dict[str, Any]:
        back, page = self._tenancy.back, self._tenancy.page
        return _claims() | {
            "issuer": f"{back}/oidc",
            "token_endpoint": f"{back}/oidc/token",
            "authorization_endpoint": f"{page}/oidc/authorize",
            "end_session_endpoint": f"{page}/oidc/logout",
            "jwks_uri": f"{back}/oidc/keys",
            "authorization_response_iss_parameter_supported": True,
        }

    def _instance(self) -> dict[str, Any]:
        host = self._tenancy.back.removeprefix("https://")
        return {
            "tenant_discovery_endpoint": f"{self._tenancy.back}/common/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }

    def _realm(self, username: str) -> dict[str, Any]:
        domain = username.rpartition("@")[2].lower()
        answer = {"ver": "1.0", "account_type": "Unknown", "cloud_audience_urn": "urn:federation:MicrosoftOnline"}
        answer |= {"cloud_instance_name": self._tenancy.back.removeprefix("https://"), "domain_name": domain}
        if domain in {each.domain for each in ORGANISATIONS}:
            return answer | {"account_type": "Managed"}
        if domain == FEDERATED_DOMAIN:
            there = {"federation_protocol": "WSTrust", "federation_metadata_url": f"{self._tenancy.back}/adfs/mex"}
            return answer | {"account_type": "Federated"} | there
        return answer


def _claims() -> dict[str, Any]:
    return {
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
        "response_modes_supported": ["query", "form_post"],
        "response_types_supported": ["code"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
    }
