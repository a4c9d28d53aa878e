"""Who calls."""

import azure.functions as func

from shared.errors import RequestRefused
from shared.identity import BearerTokens, Caller
from shared.services import Services


def caller_of(req: func.HttpRequest, app: Services) -> Caller:
    """The person in whose name this request comes.

    Raises:
        BearerRefused, TryLater. RequestRefused: this app's provider knows no on-behalf-of.
    """
    if app.settings.oidc_authority:
        detail = "The API needs AUTHORITY, a Microsoft Entra tenant: a plain OpenID provider has no on-behalf-of."
        raise RequestRefused(detail, code="needs_entra", title="This app has no API", status=501)
    tokens = BearerTokens(app.settings, app.identity.verifier)
    return tokens.caller(req.headers.get("authorization", ""))
