"""Sign-in with a user name and a password. Discouraged: it allows no second factor and no passkey, and this program
sees the password."""

import json
import uuid
import warnings
from typing import Any
from xml.etree.ElementTree import ParseError

from msal.exceptions import MsalServiceError

from desktop.console import Console
from desktop.failures import Failed

WARNING = (
    "Signing in with a password is discouraged: it allows no second factor, and MSAL will remove it. "
    "Prefer --flow interactive or --flow device-code."
)


def sign_in(
    app: Any, scopes: list[str], console: Console, *, username: str, password: str, claims: str = ""
) -> dict[str, Any]:
    """Warns, signs in, and returns MSAL's result.

    Raises:
        Failed: this kind of account can't use a password here, or its organisation's own sign-in service fails.
    """
    console.show_event("warning", {"text": WARNING}, WARNING)
    federated = _discover_realm(app, username) == "Federated"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the person has just been warned
            return dict(
                app.acquire_token_by_username_password(username, password, scopes, claims_challenge=claims or None)
            )
    except MsalServiceError as error:
        raise Failed("accessing_ws_metadata_exchange_failed" if federated else "unreachable") from error
    except (ParseError, RuntimeError, ValueError) as error:  # what MSAL raises for WS-Trust and its metadata
        raise Failed("parsing_wstrust_response_failed" if federated else "unparsable") from error


def _discover_realm(app: Any, username: str) -> str:
    """Managed, Federated, or "" where the authority has no realm discovery (404). Raises Failed for any other kind.

    Asked before the password is sent: MSAL would send it for an unknown domain too.
    """
    try:
        realm = app.authority.user_realm_discovery(username, correlation_id=str(uuid.uuid4()))
    except (MsalServiceError, json.JSONDecodeError) as error:
        raise Failed("user_realm_discovery_failed") from error
    kind = str(realm.get("account_type", "")) if isinstance(realm, dict) else ""
    if realm and kind not in ("Managed", "Federated"):
        raise Failed("unknown_user_type")
    return kind
