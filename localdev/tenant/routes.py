"""Which path is whose: the back channel for programs (https); pages, Graph, sample API and control API (http)."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from localdev.control.endpoint import Control
from localdev.graph.routes import graph_routes
from localdev.sample_api.endpoint import SampleApi
from localdev.tenant import pages
from localdev.tenant.admin_consent import AdminConsent
from localdev.tenant.authorize import Authorization
from localdev.tenant.browser_session import BrowserSessions
from localdev.tenant.device_pages import DevicePages
from localdev.tenant.discovery import Discovery
from localdev.tenant.managed_identity import ManagedIdentity
from localdev.tenant.tenancy import Tenancy
from localdev.tenant.token_endpoint import TokenEndpoint

# Requests with another host name are refused, also when that name points to this machine.
_LOCAL_ONLY = [Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"], www_redirect=False)]


def back_channel(tenancy: Tenancy) -> Starlette:
    """The routes for programs."""
    discovery, endpoint = Discovery(tenancy), TokenEndpoint(tenancy)
    routes = [
        Route("/oidc/.well-known/openid-configuration", discovery.oidc_configuration),
        Route("/oidc/keys", discovery.keys),
        Route("/oidc/token", endpoint.token, methods=["POST"]),
        Route("/common/discovery/instance", discovery.instance),
        Route("/common/userrealm/{username}", discovery.user_realm),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", discovery.configuration),
        Route("/{tenant}/discovery/v2.0/keys", discovery.keys),
        Route("/{tenant}/oauth2/v2.0/token", endpoint.token, methods=["POST"]),
        Route("/{tenant}/oauth2/v2.0/devicecode", endpoint.device_authorization, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=_LOCAL_ONLY)


def front(tenancy: Tenancy, control: Control) -> Starlette:
    """The routes for browsers. Graph, the sample API and the control API share their address."""
    apis = [*graph_routes(tenancy), *SampleApi(tenancy).routes(), *control.routes()]
    routes = [Route("/", _home), *_sign_in(tenancy), *apis]
    routes.append(Route("/managed-identity/token", ManagedIdentity(tenancy).token))
    return Starlette(routes=routes, middleware=_LOCAL_ONLY)


def _sign_in(tenancy: Tenancy) -> list[Route]:
    authorization, device = Authorization(tenancy, BrowserSessions(tenancy)), DevicePages(tenancy)
    admin_consent = AdminConsent(tenancy)
    return [
        Route("/oidc/authorize", authorization.authorize),
        Route("/oidc/logout", authorization.sign_out),
        Route("/choose", authorization.choose, methods=["POST"]),
        Route("/consent", authorization.consent, methods=["POST"]),
        Route("/adminconsent/choose", admin_consent.choose, methods=["POST"]),
        Route("/adminconsent/answer", admin_consent.answer, methods=["POST"]),
        Route("/{tenant}/v2.0/adminconsent", admin_consent.ask),
        Route("/device", device.enter),
        Route("/device", device.code, methods=["POST"]),
        Route("/device/choose", device.choose, methods=["POST"]),
        Route("/device/answer", device.answer, methods=["POST"]),
        Route("/{tenant}/oauth2/v2.0/authorize", authorization.authorize),
        Route("/{tenant}/oauth2/v2.0/logout", authorization.sign_out),
    ]


async def _home(_: Request) -> Response:
    return pages.page("Sample tenant", "<p>People sign in here for the app that runs on this machine.</p>")
