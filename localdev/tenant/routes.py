"""Which path is whose: the back channel for programs (https); pages, Graph and the control API (http)."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from localdev.tenant import pages
from localdev.tenant.authorize import Authorization
from localdev.tenant.browser_session import BrowserSessions
from localdev.tenant.control import Commands, Control
from localdev.tenant.device_pages import DevicePages
from localdev.tenant.discovery import Discovery
from localdev.tenant.graph import Graph
from localdev.tenant.managed_identity import ManagedIdentity
from localdev.tenant.tenancy import Tenancy
from localdev.tenant.token_endpoint import TokenEndpoint

# Requests with another host name are refused, also when that name points to this machine.
_LOCAL_ONLY = [Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"], www_redirect=False)]
_EVERY_METHOD = ["GET", "POST", "PATCH", "PUT", "DELETE"]


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


def front(tenancy: Tenancy, commands: Commands) -> Starlette:
    """The routes for browsers. Graph and the control API share their address."""
    routes = [Route("/", _home), *_sign_in(tenancy), *_graph(tenancy), *_control(commands)]
    routes.append(Route("/managed-identity/token", ManagedIdentity(tenancy).token))
    return Starlette(routes=routes, middleware=_LOCAL_ONLY)


def _sign_in(tenancy: Tenancy) -> list[Route]:
    authorization, device = Authorization(tenancy, BrowserSessions(tenancy)), DevicePages(tenancy)
    return [
        Route("/oidc/authorize", authorization.authorize),
        Route("/oidc/logout", authorization.sign_out),
        Route("/choose", authorization.choose, methods=["POST"]),
        Route("/consent", authorization.consent, methods=["POST"]),
        Route("/device", device.enter),
        Route("/device", device.code, methods=["POST"]),
        Route("/device/choose", device.choose, methods=["POST"]),
        Route("/device/answer", device.answer, methods=["POST"]),
        Route("/{tenant}/oauth2/v2.0/authorize", authorization.authorize),
        Route("/{tenant}/oauth2/v2.0/logout", authorization.sign_out),
    ]


def _graph(tenancy: Tenancy) -> list[Route]:
    graph = Graph(tenancy)
    return [
        Route("/graph/v1.0/me", graph.me),
        Route("/graph/v1.0/me/photo/$value", graph.photo),
        Route("/graph/v1.0/me/photos/{size}/$value", graph.photo),
        Route("/graph/v1.0/me/calendarView", graph.calendar_view),
        Route("/graph/{path:path}", graph.unknown, methods=_EVERY_METHOD),
    ]


def _control(commands: Commands) -> list[Route]:
    control = Control(commands)
    return [
        Route("/control/people", control.people, methods=["GET", "POST"]),
        Route("/control/people/{username}", control.person, methods=["PATCH"]),
        Route("/control/faults", control.faults, methods=["POST", "DELETE"]),
        Route("/control/settings", control.settings, methods=["PATCH"]),
        Route("/control/apps/{client_id}", control.app, methods=["PATCH"]),
        Route("/control/log", control.log),
        Route("/control/reset", control.reset, methods=["POST"]),
    ]


async def _home(_: Request) -> Response:
    return pages.page("Sample tenant", "<p>People sign in here for the app that runs on this machine.</p>")
