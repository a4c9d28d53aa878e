"""Azure's managed identity endpoint, as App Service and Functions offer it, for the app to ask for assertions.

Microsoft's page "How to use managed identities for App Service and Azure Functions", REST endpoint reference.
"""

import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localdev.tenant.tenancy import Tenancy
from localdev.tenant.workloads import IDENTITY_CLIENT_ID

_LIFETIME = 86400


class ManagedIdentity:
    """The handler."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    async def token(self, request: Request) -> Response:
        """GET /managed-identity/token?resource=…, with the header whose value only the app's environment has."""
        workloads = self._tenancy.workloads
        presented = request.headers.get("x-identity-header", "")
        if not secrets.compare_digest(presented.encode(), workloads.header.encode()):
            return JSONResponse({"statusCode": 401, "message": "X-IDENTITY-HEADER is wrong"}, 401)
        resource = request.query_params.get("resource", "")
        now = self._tenancy.now()
        token = workloads.assertion(now=now, lifetime=_LIFETIME, audience=resource)
        self._tenancy.journal.issued("managed_identity", token, at=now)
        return JSONResponse(
            {
                "access_token": token,
                "client_id": IDENTITY_CLIENT_ID,
                "expires_on": str(int(now) + _LIFETIME),
                "resource": resource,
                "token_type": "Bearer",
            }
        )
