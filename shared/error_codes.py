"""What the numbers in Microsoft Entra's error answers mean, who can fix it, and how.

Source: "Microsoft Entra authentication and authorization error codes" and the pages on each grant. Used by the pages,
    the
operator's list and the desktop client, so that all of them say the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Fixer = Literal["you", "administrator", "operator", "nobody"]


@dataclass(frozen=True, slots=True)
class EntraError:
    """One kind of refusal.

    Attributes:
        fixer: who can help: the person, their tenant's administrator, whoever runs this app, or only time.
        happened: one sentence in plain words.
        remedy: what the fixer does.
    """

    fixer: Fixer
    happened: str
    remedy: str


_ERRORS: Mapping[str, EntraError] = {
    "50076": EntraError("you", "Your organisation asks for a second factor.", "Sign in again and confirm with it."),
    "50079": EntraError("you", "Your organisation asks you to set up a second factor.", "Sign in again and set it up."),
    "50158": EntraError("you", "Your organisation asks for one more check.", "Sign in again."),
    "50173": EntraError("you", "Your sign-in was revoked, or your password changed.", "Sign in again."),
    "70043": EntraError("you", "Your sign-in is older than your organisation allows.", "Sign in again."),
    "700082": EntraError("you", "Your sign-in was not used for too long.", "Sign in again."),
    "70008": EntraError("you", "The sign-in has expired.", "Sign in again."),
    "54005": EntraError("you", "This sign-in link was used already.", "Start again from the first page."),
    "65001": EntraError("you", "You have not agreed to what this app wants to do.", "Sign in again and agree."),
    "65004": EntraError("you", "You declined what this app asked for.", "Sign in again if you change your mind."),
    "50126": EntraError("you", "User name or password is wrong.", "Try again, or reset your password."),
    "50034": EntraError(
        "you", "There is no such account in this directory.", "Check the spelling, or use another account."
    ),
    "50055": EntraError("you", "Your password has expired.", "Sign in in a browser and change it."),
    "50053": EntraError("you", "Your account is locked after too many attempts.", "Wait, then try again."),
    "50057": EntraError("administrator", "Your account is disabled.", "Ask your administrator to enable it."),
    "50105": EntraError("administrator", "You are not assigned to this app.", "Ask your administrator to assign you."),
    "53000": EntraError(
        "administrator", "Your device does not meet a rule.", "Use a device your organisation manages."
    ),
    "53003": EntraError(
        "administrator",
        "A rule of your organisation blocks this access.",
        "Sign in from an allowed place or device, or ask your administrator.",
    ),
    "90094": EntraError(
        "administrator", "An administrator must agree to this app first.", "Ask your administrator to grant consent."
    ),
    "90002": EntraError("operator", "The directory is unknown.", "Correct the tenant in AUTHORITY."),
    "90010": EntraError(
        "operator",
        "This way of signing in isn't available at /common for every kind of account.",
        "Use a tenant's own authority, or another flow.",
    ),
    "70002": EntraError(
        "operator", "The app could not prove who it is.", "Allow public client flows, or give the app its secret."
    ),
    "7000215": EntraError(
        "operator", "The app's secret is wrong.", "Set CLIENT_SECRET to the secret's value (not its ID)."
    ),
    "7000218": EntraError(
        "operator",
        "The app must prove who it is.",
        "Allow public client flows in the app registration, or give the app its secret.",
    ),
    "7000222": EntraError("operator", "The app's secret has expired.", "Make a new one and set CLIENT_SECRET."),
    "700016": EntraError(
        "operator",
        "The app is not known in this directory.",
        "Check CLIENT_ID and the tenant; somebody must install the app there.",
    ),
    "700027": EntraError(
        "operator", "The app's certificate is not accepted.", "Upload the certificate to the app registration."
    ),
    "700213": EntraError(
        "operator", "No federated credential matches.", "Add the managed identity as a federated credential of the app."
    ),
    "50011": EntraError(
        "operator", "The redirect URI is not registered.", "Register BASE_URL/signin/callback in the app registration."
    ),
    "70011": EntraError("operator", "A scope is not valid.", "Correct SCOPES."),
    "50196": EntraError("nobody", "Too many requests in a short time.", "Wait a few minutes."),
    "90055": EntraError("nobody", "Too many requests in a short time.", "Wait a few minutes."),
    "90033": EntraError("nobody", "Microsoft Entra has a passing fault.", "Wait a few minutes."),
    # a desktop's sign-in
    "50020": EntraError(
        "administrator",
        "This account is not in this organisation.",
        "Use another account, or have it invited as a guest.",
    ),
    "50058": EntraError("you", "Nobody is signed in here.", "Sign in."),
    "50072": EntraError("you", "Your organisation asks you to set up a second factor.", "Sign in again and set it up."),
    "50074": EntraError("you", "Your organisation asks for a second factor.", "Sign in again and confirm with it."),
    "500011": EntraError(
        "operator", "The API is not known in this directory.", "Check API_SCOPE; somebody must install the app there."
    ),
    "650053": EntraError("operator", "The app asked for a scope that does not exist.", "Correct the scope."),
    "700025": EntraError("operator", "This client is public and must present no secret.", "Remove its secret."),
    "authorization_declined": EntraError("you", "The sign-in was declined.", "Start again if that was a mistake."),
    "70017": EntraError("you", "The sign-in was declined.", "Start again if that was a mistake."),
    "expired_token": EntraError("you", "The code has expired.", "Start again and use the new code in time."),
    "70020": EntraError("you", "The code has expired.", "Start again and use the new code in time."),
    "70018": EntraError("you", "The code is not known.", "Start again."),
    "access_denied": EntraError("you", "The sign-in was declined.", "Start again if that was a mistake."),
    "no_account": EntraError("you", "Nobody is signed in here.", "Sign in."),
    "nobody_answered": EntraError("you", "Nobody finished the sign-in in time.", "Start again."),
    "unreachable": EntraError(
        "operator", "The identity provider can't be reached.", "Check the network, AUTHORITY and REQUESTS_CA_BUNDLE."
    ),
    "authority_unusable": EntraError(
        "operator", "The authority is not one that people can sign in to.", "Correct the host and tenant in AUTHORITY."
    ),
    "unparsable": EntraError("nobody", "The answer can't be read.", "Try again in a moment."),
    "service_failed": EntraError("nobody", "The identity provider has a fault.", "Try again in a moment."),
    "server_error": EntraError("nobody", "The identity provider has a fault.", "Try again in a moment."),
    "temporarily_unavailable": EntraError("nobody", "The identity provider is busy.", "Try again in a moment."),
    "cache_busy": EntraError("you", "Another program holds the token cache.", "End it, or try again."),
    # MSAL's client-side errors on user names and passwords, by the names that MSAL has for them elsewhere
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
    # words of ours, and OAuth errors without a number
    "no_refresh_token": EntraError("you", "Nothing is stored that could be renewed.", "Sign in again."),
    "invalid_grant": EntraError("you", "Your sign-in is no longer accepted.", "Sign in again."),
    "interaction_required": EntraError("you", "Your organisation wants to ask you something.", "Sign in again."),
    "login_required": EntraError("you", "You have to sign in again.", "Sign in again."),
    "consent_required": EntraError(
        "you", "You have not agreed to what this app wants to do.", "Sign in again and agree."
    ),
    "invalid_issuer": EntraError(
        "operator", "The authority names another issuer than itself.", "Correct AUTHORITY or OIDC_AUTHORITY."
    ),
    "other_client": EntraError(
        "operator",
        "The stored sign-in belongs to another app registration or cloud.",
        "Restore CLIENT_ID and AUTHORITY, or let the person sign in again.",
    ),
}
_UNKNOWN = EntraError(
    "you", "Your sign-in is no longer accepted.", "Sign in again; if that fails, quote the reference."
)


def explain(code: str) -> EntraError:
    """The meaning of an AADSTS number, an OAuth error or a word of ours."""
    return _ERRORS.get(code, _UNKNOWN)


def known_codes() -> frozenset[str]:
    """Every code in the table."""
    return frozenset(_ERRORS)


def code_of(answer: Mapping[str, Any]) -> str:
    """The most telling code of an error answer: its first AADSTS number, else its OAuth `error`.

    `error_codes` is Entra's own list; the redirect to our callback has the number in `error_description` only.
    """
    numbers = answer.get("error_codes")
    if isinstance(numbers, list) and numbers and str(numbers[0]).isdigit():
        return str(numbers[0])
    found = re.search(r"AADSTS(\d{4,8})", str(answer.get("error_description", ""))[:400])
    return found[1] if found else re.sub(r"[^\w.:-]", "", str(answer.get("error", "")))[:60] or "unknown"
