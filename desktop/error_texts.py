"""What the codes mean that only this client has: MSAL's client-side errors, and words of its own.

MSAL for Python has no names for what goes wrong over WS-Trust. These are MSAL.NET's (its class `MsalError`).
"""

from collections.abc import Mapping

from shared.error_codes import EntraError

ERROR_TEXTS: Mapping[str, EntraError] = {
    "no_account": EntraError("you", "Nobody is signed in here.", "Sign in.", exit_code=3),
    "nobody_answered": EntraError("you", "Nobody finished the sign-in in time.", "Start again."),
    "cache_busy": EntraError("you", "Another program holds the token cache.", "End it, or try again."),
    "unreachable": EntraError(
        "operator", "The identity provider can't be reached.", "Check the network, AUTHORITY and REQUESTS_CA_BUNDLE."
    ),
    "authority_unusable": EntraError(
        "operator", "The authority is not one that people can sign in to.", "Correct the host and tenant in AUTHORITY."
    ),
    "service_failed": EntraError("nobody", "The identity provider has a fault.", "Try again in a moment."),
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
