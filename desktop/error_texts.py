"""Failures that only this client knows: what they mean, who can fix them, and how.

The table that the whole app shares has the AADSTS numbers. The errors on user names and passwords have the names that
MSAL.NET gives them (its class `MsalError`); MSAL for Python has none.
"""

from collections.abc import Mapping

from shared.error_codes import EntraError

ERROR_TEXTS: Mapping[str, EntraError] = {
    "no_account": EntraError("you", "Nobody is signed in here.", "Sign in.", exit_code=3),
    "nobody_answered": EntraError("you", "Nobody finished the sign-in in time.", "Start again."),
    "cancelled": EntraError("you", "Cancelled.", ""),
    "unreachable": EntraError(
        "operator", "The identity provider can't be reached.", "Check the network, AUTHORITY and REQUESTS_CA_BUNDLE."
    ),
    "authority_unusable": EntraError(
        "operator", "People can't sign in to this authority.", "Correct the host and tenant in AUTHORITY."
    ),
    "service_failed": EntraError("nobody", "The identity provider has a fault.", "Try again in a moment."),
    "api_unreachable": EntraError("operator", "The API does not answer.", "Check API_URL, and that the app runs."),
    "cache_busy": EntraError("you", "Another program holds the token cache.", "End it, or try again."),
    "no_encryption": EntraError(
        "you",
        "This machine has nothing to encrypt the token cache with (DPAPI, Keychain or libsecret with PyGObject).",
        "Install it, or use --plain-text-cache: the tokens are then in a file that only you can read.",
    ),
    "no_broker": EntraError(
        "you",
        "There is no sign-in broker here.",
        "Install msal[broker] on Windows 10 or later, macOS with Company Portal, or Linux with Intune; "
        "elsewhere use another flow. (MSAL for Python has no Integrated Windows Authentication.)",
    ),
    "unknown_user_type": EntraError(
        "you",
        "This user name belongs to no work or school account.",
        "Check the spelling, or sign in with --flow interactive: personal accounts can't sign in with a password here.",
    ),
    "user_realm_discovery_failed": EntraError(
        "nobody",
        "The kind of account could not be found out.",
        "Check the user name and the network, then try again; or use --flow interactive.",
    ),
    "accessing_ws_metadata_exchange_failed": EntraError(
        "administrator",
        "Your organisation's own sign-in service can't be reached.",
        "Ask your administrator to check its WS-Trust metadata (MEX), or use --flow interactive.",
    ),
    "parsing_wstrust_response_failed": EntraError(
        "administrator",
        "The answer of your organisation's own sign-in service (WS-Trust) can't be read.",
        "Check user name and password; if they are right, ask your administrator, or use --flow interactive.",
    ),
}
