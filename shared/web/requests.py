"""Reads an HTTP request: its parameters, its session and account, its bearer token; and refuses what it may not do."""

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func

from shared.accounts import Account
from shared.errors import BadRequest, BearerRefused, Forbidden, NotSignedIn, RequestRefused, TooLarge
from shared.identity import BearerTokens, Caller
from shared.identity.challenge import api_scope, bearer_challenge
from shared.services import Services
from shared.session import Session, parse_cookies

_LONGEST_QUERY = 8 * 1024


def cookies_of(req: func.HttpRequest) -> dict[str, str]:
    """Cookies by name."""
    return parse_cookies(req.headers.get("cookie", ""))


def query_of(req: func.HttpRequest) -> dict[str, str]:
    """Query parameters by name; empty ones are left out.

    Reads the URL, as the Functions host joins repeated parameters with a comma.

    Raises:
        BadRequest: a parameter is repeated. TooLarge.
    """
    # No urlsplit: it raises on a Host header such as "[", which anybody can send.
    return _parse(req.url.partition("?")[2].partition("#")[0])


def path_of(req: func.HttpRequest) -> str:
    """The path, cut at 100 characters, without the query, which may hold an authorization code."""
    # No urlsplit: it raises on a Host header such as "[", which anybody can send.
    host_and_path = str(req.url).partition("?")[0].partition("://")[2]
    return "/" + host_and_path.partition("/")[2][:100]


def form_of(req: func.HttpRequest) -> dict[str, str]:
    """Fields of an application/x-www-form-urlencoded body; empty ones are left out. Raises BadRequest, TooLarge."""
    return _parse(req.get_body().decode("utf-8", errors="replace"))


def _parse(encoded: str) -> dict[str, str]:
    if len(encoded) > _LONGEST_QUERY:
        raise TooLarge("There are too many parameters, or they are too long.")
    pairs = parse_qsl(encoded, keep_blank_values=True)
    if len(pairs) != len({name for name, _ in pairs}):
        raise BadRequest("A parameter is repeated.")
    return {name: value for name, value in pairs if value}


def refuse_other_sites(req: func.HttpRequest, base_url: str) -> None:
    """Raises Forbidden unless one of our own pages sent this request (Origin, RFC 6454; without it Sec-Fetch-Site)."""
    origin = req.headers.get("origin")
    ours = f"{urlsplit(base_url).scheme}://{urlsplit(base_url).netloc}".lower()
    if origin == ours or (origin is None and req.headers.get("sec-fetch-site") == "same-origin"):
        return
    raise Forbidden("This must be sent from this app's own pages.", code="cross_site")


def wants_html(req: func.HttpRequest) -> bool:
    """Is a browser navigating here?"""
    return "text/html" in req.headers.get("accept", "")


def wants_picture(req: func.HttpRequest) -> bool:
    """Does an <img> ask? It can't show anything but pictures."""
    return str(req.headers.get("accept", "")).startswith("image/")


def session_of(req: func.HttpRequest, app: Services) -> tuple[Session, Account] | None:
    """The session and its account, by one read of the store; None when nobody is signed in at this browser."""
    session = app.sessions.read(cookies_of(req))
    if session is None:
        return None
    account = app.store.get(session.account_id)
    if account is None or account.session_generation != session.generation:
        return None
    if not app.settings.admits(account.tenant_id):
        return None
    return session, account


def require_session(req: func.HttpRequest, app: Services) -> tuple[Session, Account]:
    """`session_of` for routes that need a signed-in person. Raises NotSignedIn."""
    found = session_of(req, app)
    if found is None:
        raise NotSignedIn("Sign in first.")
    return found


def require_caller(req: func.HttpRequest, app: Services, *, scope: str = "", clients: Sequence[str] = ()) -> Caller:
    """The person that a program calls for, from its bearer token.

    Args:
        scope, clients: see BearerTokens.authenticate.

    Raises:
        BearerRefused, TryLater. RequestRefused: 501, as this app's provider has no on-behalf-of.
    """
    if app.settings.oidc_authority:
        detail = "The API needs AUTHORITY, a Microsoft Entra tenant: a plain OpenID provider has no on-behalf-of."
        raise RequestRefused(detail, code="needs_entra", title="This app has no API", status=501)
    tokens = BearerTokens(app.settings, app.identity.verifier)
    return tokens.authenticate(req.headers.get("authorization", ""), scope=scope, clients=clients)


def is_operator(roles: Collection[str], tenant_id: str, app: Services) -> bool:
    """Is somebody with these roles, assigned by this tenant, an operator?

    They need the role in ADMIN_ROLE and a tenant whose operators count. Nobody is one when ADMIN_ROLE is not set.
    """
    role = app.settings.admin_role
    return bool(role) and role in roles and app.settings.admits_operators_of(tenant_id)


def require_operator(req: func.HttpRequest, app: Services) -> tuple[Session, Account]:
    """The operator at this browser. Raises NotSignedIn, Forbidden."""
    session, account = require_session(req, app)
    _require_operators(session.roles, account.tenant_id, app)
    return session, account


def require_operator_or_token(req: func.HttpRequest, app: Services) -> None:
    """Lets in an operator at a browser, and a program with an operator's bearer token, which carries OPERATOR_SCOPE.

    401 and 403 have a challenge (RFC 6750, 3). Where there is no API for bearer tokens (OIDC_AUTHORITY) they have none.

    Raises:
        BearerRefused, TryLater. NotSignedIn, Forbidden: with OIDC_AUTHORITY. RequestRefused: as `require_caller`.
    """
    settings = app.settings
    # A proxy in front may use Basic.
    by_token = str(req.headers.get("authorization", "")).lower().startswith("bearer")
    try:
        if by_token:
            person = require_caller(req, app, scope=settings.operator_scope, clients=settings.operator_clients).person
            _require_operators(person.roles, person.tenant_id, app)
        else:
            require_operator(req, app)
    except (NotSignedIn, Forbidden) as error:
        if settings.oidc_authority:
            raise
        # A token that is there lacks no scope, but the person's role. Without one, the scope says which to send.
        challenge = (
            bearer_challenge(settings, error="insufficient_scope", description=error.detail)
            if by_token
            else bearer_challenge(settings, scope=api_scope(settings, settings.operator_scope))
        )
        raise BearerRefused(
            error.detail, challenge=challenge, code=error.code, title=error.title, status=error.status
        ) from error


def _require_operators(roles: Collection[str], tenant_id: str, app: Services) -> None:
    """Raises Forbidden, unless they are an operator's."""
    if app.settings.lacks_operator_tenants:
        detail = "Many organisations sign in to this app: its setting OPERATOR_TENANTS must say whose operators count."
        raise Forbidden(detail, code="operator_tenants_missing", title="Operators' pages are closed")
    if not is_operator(roles, tenant_id, app):
        raise Forbidden("This is for operators of this app.", code="not_an_operator")


def text_of(values: Mapping[str, str], name: str, *, longest: int) -> str:
    """A parameter; "" when it is absent. Raises BadRequest when it is longer than `longest` characters."""
    value = values.get(name, "")
    if len(value) > longest:
        raise BadRequest(f"The parameter {name} is too long.")
    return value
