"""Reads an HTTP request: its parameters, its session and account, its bearer token; and refuses what it may not do."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func

from shared.accounts import Account, Person
from shared.errors import BadRequest, Forbidden, NotSignedIn, RequestRefused, TooLarge
from shared.identity import BearerTokens, Caller
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


def require_caller(req: func.HttpRequest, app: Services) -> Caller:
    """The person that a program calls for, from its bearer token.

    Raises:
        BearerRefused, TryLater. RequestRefused: 501, as this app's provider has no on-behalf-of.
    """
    if app.settings.oidc_authority:
        detail = "The API needs AUTHORITY, a Microsoft Entra tenant: a plain OpenID provider has no on-behalf-of."
        raise RequestRefused(detail, code="needs_entra", title="This app has no API", status=501)
    tokens = BearerTokens(app.settings, app.identity.verifier)
    return tokens.authenticate(req.headers.get("authorization", ""))


def is_operator(who: Session | Person, app: Services) -> bool:
    """Does this person have the role in ADMIN_ROLE? Nobody does when it is not set."""
    return bool(app.settings.admin_role) and app.settings.admin_role in who.roles


def require_operator(req: func.HttpRequest, app: Services) -> tuple[Session, Account]:
    """The operator at this browser. Raises NotSignedIn, Forbidden."""
    session, account = require_session(req, app)
    _require_role(session, app)
    return session, account


def require_operator_or_token(req: func.HttpRequest, app: Services) -> None:
    """Lets in an operator at a browser, and a program with an operator's bearer token.

    Raises:
        NotSignedIn, BearerRefused, TryLater, Forbidden.
    """
    if str(req.headers.get("authorization", "")).lower().startswith("bearer"):  # a proxy in front may use Basic
        _require_role(require_caller(req, app).person, app)
    else:
        require_operator(req, app)


def _require_role(who: Session | Person, app: Services) -> None:
    if not is_operator(who, app):
        raise Forbidden("This is for operators of this app.", code="not_an_operator")


def text_of(values: Mapping[str, str], name: str, *, longest: int) -> str:
    """A parameter; "" when it is absent. Raises BadRequest when it is longer than `longest` characters."""
    value = values.get(name, "")
    if len(value) > longest:
        raise BadRequest(f"The parameter {name} is too long.")
    return value
