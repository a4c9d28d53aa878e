"""Signing in with a user name and a password. Discouraged: no second factor, no passkey, and this program sees the
password."""

import json
import uuid
import warnings
from typing import Any
from xml.etree.ElementTree import ParseError

from msal.exceptions import MsalServiceError

from desktop.console import Console
from desktop.failures import Failed

WARNING = (
    "Signing in with a password is discouraged: it can't ask for a second factor, and MSAL will drop it. "
    "Prefer --flow interactive or --flow device-code."
)


def sign_in(
    app: Any, scopes: list[str], console: Console, *, username: str, password: str, claims: str = ""
) -> dict[str, Any]:
    """MSAL's result.

    Raises:
        Failed: the account's kind can't sign in so, or its organisation's own sign-in service is in the way.
    """
    console.event("warning", {"text": WARNING}, WARNING)
    federated = _realm(app, username) == "Federated"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # we have just said so ourselves
            return dict(
                app.acquire_token_by_username_password(username, password, scopes, claims_challenge=claims or None)
            )
    except MsalServiceError as error:
        raise Failed("accessing_ws_metadata_exchange_failed" if federated else "unreachable") from error
    except (ParseError, RuntimeError, ValueError) as error:  # what MSAL raises over WS-Trust and its metadata
        raise Failed("parsing_wstrust_response_failed" if federated else "unparsable") from error


def _realm(app: Any, username: str) -> str:
    """Managed or Federated. Asked before the password goes anywhere: MSAL would send an unknown domain's too."""
    try:
        realm = app.authority.user_realm_discovery(username, correlation_id=str(uuid.uuid4()))
    except (MsalServiceError, json.JSONDecodeError) as error:
        raise Failed("user_realm_discovery_failed") from error
    kind = str(realm.get("account_type", "")) if isinstance(realm, dict) else ""
    # An authority without realm discovery (404) gives an empty answer: it has one kind of account.
    if realm and kind not in ("Managed", "Federated"):
        raise Failed("unknown_user_type")
    return kind
