"""The table of error codes: what each means, who can fix it, and what every part of this app does about it.

A code is an AADSTS number as text, an OAuth error, or a word of ours. To add a code, add a row here. Microsoft may add
and change numbers at any time: a number without a row is treated like the OAuth error in the same answer.

Sources: "Microsoft Entra authentication and authorization error codes" (the numbers); "Unexpected error when performing
consent to an application" (90093, 90094); "Microsoft identity platform application authentication certificate
credentials" and "Workload identity federation" (client assertions); RFC 6749, 4.1.2.1 and 5.2, RFC 8628, 3.5, and
OpenID Connect Core 1.0, 3.1.2.6 (OAuth errors).
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Literal

from shared.accounts import Outcome

Fixer = Literal["you", "administrator", "operator", "nobody"]
Reach = Literal["person", "tenant", "app"]
Prompt = Literal["", "login", "consent"]
Challenge = Literal["invalid_token", "insufficient_scope", "insufficient_user_authentication"]
Page = Literal["", "declined", "needs_administrator", "foreign_tenant", "expired"]

_LONGEST_DIAGNOSIS = 200
# Mail addresses, and runs without a blank that are as long as codes and tokens.
_PRIVATE = re.compile(r"[^\s'\"<>()]+@[^\s'\"<>()]+|(?<![\w.-])[\w.~+/=-]{40,}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EntraError:
    """One row of the table.

    Attributes:
        fixer: who can help: the person, their tenant's administrator, whoever runs this app, or only time.
        happened: one sentence in plain words.
        remedy: what the fixer does.
        outcome: of a silent acquisition that ends with this code; None leaves it to the OAuth error of the answer.
        affects: whom a `misconfigured` outcome can concern. "app": the error can only be the app's, as its credential
            is refused; one answer stops a sweep. "tenant": everybody in the tenant (everybody, where the authority is
            one tenant), or only this person: a sweep asks a second person first. "person": this account only.
        prompt: OpenID Connect's `prompt` for the next sign-in; "" lets the tenant decide.
        challenge: the bearer error of our API (RFC 6750, 3.1; RFC 9470, 3) when there are no claims.
        page: the page that a browser gets when a sign-in ends with this code; "" is the general one.
        exit_code: the desktop client's; 3 when only a person in a browser can help.
    """

    fixer: Fixer
    happened: str
    remedy: str
    _: KW_ONLY
    outcome: Outcome | None = None
    affects: Reach = "tenant"
    prompt: Prompt = ""
    challenge: Challenge = "invalid_token"
    page: Page = ""
    exit_code: Literal[1, 3] = 1


# Kinds of rows, with what they have in common. A row that differs says so itself.
_SIGN_IN, _MISCONFIGURED = Outcome.SIGN_IN_REQUIRED, Outcome.MISCONFIGURED
_STEP_UP: Challenge = "insufficient_user_authentication"
_step_up = partial(EntraError, "you", outcome=_SIGN_IN, challenge=_STEP_UP, exit_code=3)
_too_old = partial(EntraError, "you", outcome=_SIGN_IN, challenge=_STEP_UP, exit_code=3, prompt="login")
_sign_in = partial(EntraError, "you", outcome=_SIGN_IN, exit_code=3, prompt="login")
_password = partial(EntraError, "you", outcome=_SIGN_IN, prompt="login")
_consent = partial(EntraError, "you", outcome=_SIGN_IN, challenge="insufficient_scope", exit_code=3, prompt="consent")
_admin_consent = partial(
    EntraError, "administrator", outcome=_SIGN_IN, challenge="insufficient_scope", page="needs_administrator"
)
_administrator = partial(EntraError, "administrator", outcome=_SIGN_IN, prompt="login")
_credential = partial(EntraError, "operator", outcome=_MISCONFIGURED, affects="app")
_settings = partial(EntraError, "operator", outcome=_MISCONFIGURED, affects="tenant")
_unreadable = partial(EntraError, "operator", outcome=Outcome.UNREADABLE)
_busy = partial(EntraError, "nobody", outcome=Outcome.THROTTLED)
_fault = partial(EntraError, "nobody", outcome=Outcome.UNAVAILABLE)
_interactive = partial(EntraError, "you", prompt="login")

# What identity providers answer with.
_ANSWERED: Mapping[str, EntraError] = {
    # One more step, for which the tenant asks by itself. No prompt: a second factor needs no password again.
    "50015": _step_up("Somebody has to agree for your age group.", "Sign in again and follow the page."),
    "50072": _step_up("Your organisation asks you to set up a second factor.", "Sign in again and set it up."),
    "50074": _step_up("Your organisation asks for a second factor.", "Sign in again and confirm with it."),
    "50076": _step_up("Your organisation asks for a second factor.", "Sign in again and confirm with it."),
    "50078": _step_up("Your second factor was confirmed too long ago.", "Sign in again and confirm with it."),
    "50079": _step_up("Your organisation asks you to set up a second factor.", "Sign in again and set it up."),
    "50125": _step_up("Your organisation asks how you want to reset your password.", "Sign in again and set it up."),
    "50158": _step_up("Your organisation asks for one more check.", "Sign in again."),
    "53004": _step_up("Your organisation asks you to register a second factor.", "Sign in again and register one."),
    "700020": _step_up("Your organisation wants to ask you something.", "Sign in again."),
    "interaction_required": _step_up("Your organisation wants to ask you something.", "Sign in again."),
    # The sign-in is older than the organisation allows.
    "70043": _too_old("Your sign-in is older than your organisation allows.", "Sign in again."),
    "login_required": _too_old("You have to sign in again.", "Sign in again."),
    # The sign-in, or the session behind it, is over.
    "50058": _sign_in("Nobody is signed in here.", "Sign in."),
    "50085": _sign_in("Your sign-in with another provider has expired.", "Sign in again."),
    "50089": _sign_in("The sign-in has expired.", "Sign in again."),
    "50132": _sign_in("Your password changed or expired.", "Sign in again."),
    "50133": _sign_in("Your password changed or expired.", "Sign in again."),
    "50139": _sign_in("Your sign-in with another provider is missing.", "Sign in again."),
    "50173": _sign_in("Your sign-in was revoked, or your password changed.", "Sign in again."),
    "50197": _sign_in("Your account could not be found.", "Sign in again."),
    "51006": _sign_in("Your sign-in lacks Windows authentication.", "Sign in again."),
    "70000": _sign_in("Your sign-in is no longer accepted.", "Sign in again."),
    "70008": _sign_in("The sign-in has expired.", "Sign in again.", page="expired"),
    "500133": _sign_in(
        "The token that came with the request has expired.", "Get a fresh one, then try again.", exit_code=1
    ),
    "700082": _sign_in("Your sign-in was not used for too long.", "Sign in again."),
    "invalid_grant": _sign_in("Your sign-in is no longer accepted.", "Sign in again.", exit_code=1),
    # The account or its password. A sign-in with user name and password can end with these too.
    "50034": _password("There is no such account in this directory.", "Check the spelling, or use another account."),
    "50053": _password("Your account is locked after too many attempts.", "Wait, then try again."),
    "50055": _password("Your password has expired.", "Sign in in a browser and change it."),
    "50135": _password("Your password must be changed.", "Sign in in a browser and change it."),
    "50144": _password("Your password has expired.", "Sign in in a browser and change it."),
    # Consent that the person can give.
    "65001": _consent("You have not agreed to what this app wants to do.", "Sign in again and agree."),
    "65004": _consent(
        "You declined what this app asked for.", "Sign in again if you change your mind.", page="declined", exit_code=1
    ),
    "9002341": _consent("You have not agreed that this app may sign you in.", "Sign in again and agree."),
    "consent_required": _consent("You have not agreed to what this app wants to do.", "Sign in again and agree."),
    # Consent that only an administrator can give. No prompt: once it is given, the person needs no page for it.
    "90093": _admin_consent("You may not agree to this app yourself.", "Ask your administrator to grant consent."),
    "90094": _admin_consent(
        "An administrator must agree to this app first.", "Ask your administrator to grant consent."
    ),
    "90095": _admin_consent(
        "An administrator must agree to this app first.", "Ask your administrator, or let the sign-in page do so."
    ),
    # What else an administrator decides: who may use the app, where, and with which device.
    "16000": _administrator("This account is not in this organisation.", "Use another account, or have it invited."),
    "50005": _administrator("Your kind of device is not allowed.", "Use a device your organisation manages."),
    "50014": _administrator("This account is not in this organisation yet.", "Accept the invitation, or ask for one."),
    "50020": _administrator(
        "This account is not in this organisation.",
        "Use another account, or have it invited as a guest.",
        page="foreign_tenant",
    ),
    "50057": _administrator("Your account is disabled.", "Ask your administrator to enable it."),
    "50097": _administrator("Your device has to prove which one it is.", "Use a device your organisation manages."),
    "50105": _administrator("You are not assigned to this app.", "Ask your administrator to assign you."),
    "50127": _administrator(
        "Your device lacks the app that vouches for it.", "Use a device your organisation manages."
    ),
    "50129": _administrator("Your device is not registered.", "Use a device your organisation manages."),
    "50131": _administrator("A rule of your organisation blocks this access.", "Ask your administrator which one."),
    "50155": _administrator("Your device could not prove which one it is.", "Use a device your organisation manages."),
    "50187": _administrator("Your device could not prove which one it is.", "Use a device your organisation manages."),
    "51004": _administrator("This account is not in this organisation.", "Use another account, or have it invited."),
    "53000": _administrator("Your device does not meet a rule.", "Use a device your organisation manages."),
    "53001": _administrator("Your device is not joined to a domain.", "Use a device your organisation manages."),
    "53002": _administrator("Your organisation has not approved this app.", "Ask your administrator to approve it."),
    "53003": _administrator(
        "A rule of your organisation blocks this access.",
        "Sign in from an allowed place or device, or ask your administrator.",
    ),
    "53011": _administrator("Your account is blocked because it is at risk.", "Ask your administrator to unblock it."),
    "54000": _administrator("Your age group may not use this app.", "Ask your administrator."),
    "90072": _administrator("This account is not in this organisation.", "Use another account, or have it invited."),
    "530032": _administrator("A rule of your organisation blocks this access.", "Ask your administrator which one."),
    "500212": _administrator(
        "Your organisation does not let you into this one.", "Ask your administrator to allow it."
    ),
    "500213": _administrator("This organisation does not let yours in.", "Ask its administrator to allow it."),
    "530034": _administrator("Your account is blocked because it is at risk.", "Ask your administrator to unblock it."),
    "530035": _administrator("Your organisation's security defaults block this access.", "Ask your administrator why."),
    # The app's credential is refused, so the app can act for nobody. Entra answers 700023 for an assertion with another
    # audience; Microsoft's list of codes has another text for it.
    "50012": _credential(
        "The app's certificate or client assertion is not accepted.", "Check the certificate in the app registration."
    ),
    "50027": _credential(
        "The app's client assertion can't be read.", "Check the app's certificate or managed identity."
    ),
    "50048": _credential(
        "The app's client assertion names another subject than its issuer.", "Let both be the app's client ID."
    ),
    "700023": _credential("The app's client assertion is not for this tenant.", "Correct AUTHORITY, or the assertion."),
    "700024": _credential("The app's client assertion has expired.", "Check the clock of the machine that signs it."),
    "700025": _credential("This client is public and must present no secret.", "Remove its secret."),
    "700027": _credential("The app's certificate is not accepted.", "Upload it to the app registration."),
    "700030": _credential(
        "The subject name of the app's certificate is not accepted.", "Use a certificate whose name the app trusts."
    ),
    "700211": _credential("No federated credential has this issuer.", "Correct the app's federated credential."),
    "700212": _credential("No federated credential has this audience.", "Correct the app's federated credential."),
    "700213": _credential(
        "No federated credential matches.", "Add the managed identity as a federated credential of the app."
    ),
    "7000215": _credential("The app's secret is wrong.", "Set CLIENT_SECRET to the secret's value (not its ID)."),
    "7000218": _credential(
        "The app must prove who it is.",
        "Allow public client flows in the app registration, or give the app its secret.",
    ),
    "7000222": _credential("The app's secret has expired.", "Make a new one and set CLIENT_SECRET."),
    "invalid_client": _credential(
        "The app could not prove who it is.", "Correct CLIENT_ID and CLIENT_SECRET, or the app's other credential."
    ),
    # Another setting is wrong, or the tenant does not have the app.
    "50011": _settings("The redirect URI is not registered.", "Register BASE_URL/signin/callback for the app."),
    "70011": _settings("A scope is not valid.", "Correct SCOPES."),
    "90002": _settings("The directory is unknown.", "Correct the tenant in AUTHORITY."),
    "90010": _settings(
        "This way of signing in isn't available at /common for every kind of account.",
        "Use a tenant's own authority, or another flow.",
    ),
    "500011": _settings(
        "The API is not known in this directory.", "Check API_SCOPE; somebody must install the app there."
    ),
    "650053": _settings("The app asked for a scope that does not exist.", "Correct the scope."),
    "700016": _settings(
        "The app is not known in this directory.",
        "Check CLIENT_ID and the tenant; somebody must install the app there.",
    ),
    "invalid_issuer": _settings(
        "The authority names another issuer than itself.", "Correct AUTHORITY or OIDC_AUTHORITY."
    ),
    "invalid_request": _settings("The app asked in a way that is not accepted.", "Check the app's settings."),
    "invalid_resource": _settings("The API is not known in this directory.", "Check SCOPES and the tenant."),
    "invalid_scope": _settings("A scope is not valid.", "Correct SCOPES."),
    "invalid_tenant": _settings("The directory is unknown.", "Correct the tenant in AUTHORITY."),
    "unauthorized_client": _settings("The app may not do this here.", "Check CLIENT_ID and the app registration."),
    "unsupported_grant_type": _settings("The app may not do this here.", "Check AUTHORITY and the app registration."),
    # Entra used to put this number in front of others, the person's faults as well: the OAuth error decides.
    "70002": EntraError(
        "operator",
        "The app could not prove who it is.",
        "Allow public client flows, or give the app its secret.",
        affects="app",
    ),
    # Only time helps. 50196 and 90033 come with `invalid_grant`, although the sign-in is good.
    "50196": _busy("Too many requests in a short time.", "Wait a few minutes."),
    "90055": _busy("Too many requests in a short time.", "Wait a few minutes."),
    "50033": _fault("Microsoft Entra has a passing fault.", "Wait a few minutes."),
    "90006": _fault("Microsoft Entra is not available at present.", "Wait a few minutes."),
    "90012": _fault("Microsoft Entra took too long.", "Wait a few minutes."),
    "90024": _fault("Microsoft Entra has a passing fault.", "Wait a few minutes."),
    "90033": _fault("Microsoft Entra has a passing fault.", "Wait a few minutes."),
    "90090": _fault("Microsoft Entra has a passing fault.", "Wait a few minutes."),
    "server_error": _fault("The identity provider has a fault.", "Try again in a moment."),
    "temporarily_unavailable": _fault("The identity provider is busy.", "Try again in a moment."),
    # Only a sign-in can end with these, never a silent request.
    "50126": _interactive("User name or password is wrong.", "Try again, or reset your password."),
    "54005": _interactive("This sign-in link was used already.", "Start again from the first page.", page="expired"),
    "70017": _interactive("The sign-in was declined.", "Start again if that was a mistake."),
    "70018": _interactive("The code is not known.", "Start again."),
    "70019": _interactive("The code has expired.", "Start again and use the new code in time."),
    "70020": _interactive("The code has expired.", "Start again and use the new code in time."),
    "access_denied": _interactive("The sign-in was declined.", "Start again if that was a mistake.", page="declined"),
    "authorization_declined": _interactive("The sign-in was declined.", "Start again if that was a mistake."),
    "expired_token": _interactive("The code has expired.", "Start again and use the new code in time."),
}

# Words of ours, for failures without an answer. In an answer they mean nothing.
_OURS: Mapping[str, EntraError] = {
    "no_refresh_token": _sign_in("Nothing is stored that could be renewed.", "Sign in again."),
    "other_client": _settings(
        "The stored sign-in belongs to another app registration.",
        "Restore CLIENT_ID, or let the person sign in again.",
        affects="person",
    ),
    "other_cloud": _settings(
        "The stored sign-in belongs to another cloud.",
        "Restore AUTHORITY, or let the person sign in again.",
        affects="person",
    ),
    "other_host": _settings(
        "The stored sign-in belongs to another identity provider.",
        "Restore AUTHORITY or OIDC_AUTHORITY, or let the person sign in again.",
        affects="person",
    ),
    "unparsable": _fault("The answer can't be read.", "Try again in a moment."),
    "other_person": _fault("The identity provider answered for somebody else.", "Try again in a moment."),
    # What is stored can't be opened.
    "forged": _unreadable("What is stored was changed, or was moved here from another row.", "Restore the row."),
    "malformed": _unreadable("What is stored is damaged.", "Restore the row, or let the person sign in again."),
    "token_cache": _unreadable("What is stored is not a token cache.", "Let the person sign in again."),
    "unknown_key": _unreadable("Sealed with a key that is not in ENCRYPTION_KEYS.", "Put the key back."),
}

ERROR_CODES: Mapping[str, EntraError] = {**_ANSWERED, **_OURS}

# The rows of unknown codes, by the outcome.
_UNKNOWN: Mapping[Outcome, EntraError] = {
    Outcome.SIGN_IN_REQUIRED: _sign_in(
        "Your sign-in is no longer accepted.", "Sign in again; if that fails, quote the reference.", exit_code=1
    ),
    Outcome.MISCONFIGURED: _settings(
        "The identity provider refuses this app.", "Look up the code in the log, then correct the app."
    ),
    Outcome.UNREADABLE: _unreadable("What is stored can't be opened.", "Let the person sign in again."),
    Outcome.UNAVAILABLE: _fault("The last time failed; it is tried again.", "Wait."),
}


def explain(code: str, *, outcome: Outcome = Outcome.SIGN_IN_REQUIRED) -> EntraError:
    """The row of a code.

    Args:
        outcome: sign_in_required, misconfigured, unreadable or unavailable. A code without a row gets the general row
            of this outcome.
    """
    return ERROR_CODES.get(code) or _UNKNOWN[outcome]


def explain_answer(answer: Mapping[str, Any]) -> EntraError:
    """The row of an error answer: by its number, else by its OAuth error."""
    return next(iter(_rows_of(answer)), _UNKNOWN[Outcome.SIGN_IN_REQUIRED])


def outcome_of(answer: Mapping[str, Any]) -> Outcome | None:
    """The outcome of a silent acquisition with this error answer; None when neither its number nor its OAuth error has
    one."""
    return next((row.outcome for row in _rows_of(answer) if row.outcome), None)


def code_of(answer: Mapping[str, Any]) -> str:
    """The code of an error answer by which `explain` finds its row: its first AADSTS number; for a number without a
    row, its OAuth error if that has one.

    The number that is passed over is logged here, as nobody else learns of it. Without a row for either, the number,
    else the OAuth error, else "unknown".
    """
    number, error = number_of(answer), str(answer.get("error", ""))
    if number and number not in _ANSWERED and error in _ANSWERED:
        logger.warning("AADSTS%s has no row in the table of error codes; %s decides", number, error)
        return error
    return number or re.sub(r"[^\w.:-]", "", error)[:60] or "unknown"


def number_of(answer: Mapping[str, Any]) -> str:
    """The first AADSTS number of an error answer; "" when it has none.

    Entra lists its numbers in `error_codes`; the redirect to our callback has them in `error_description` only.
    """
    numbers = answer.get("error_codes")
    if isinstance(numbers, list) and numbers and str(numbers[0]).isdigit():
        return str(numbers[0])
    found = re.search(r"AADSTS(\d{4,8})", str(answer.get("error_description", ""))[:400])
    return found[1] if found else ""


def diagnosis_of(answer: Mapping[str, Any]) -> str:
    """What an error answer means, in one line of the operator's log: the provider's `error` and `error_description`,
    and what to do when only the operator can help.

    Cleaned: odd characters, mail addresses and whatever is as long as a token are left out, as is all after the first
    200 characters. The log's own filter (log_redaction.py) comes on top.
    """
    texts = [" ".join(str(answer.get(name, "")).split()) for name in ("error", "error_description")]
    said = re.sub(r"[^\x20-\x7e]", "?", ": ".join(filter(None, texts)))
    said = _PRIVATE.sub("[left out]", said)[:_LONGEST_DIAGNOSIS]
    meaning = explain_answer(answer)
    return f"{meaning.happened} {meaning.remedy} The answer: {said}" if meaning.fixer == "operator" else said


def _rows_of(answer: Mapping[str, Any]) -> list[EntraError]:
    """The rows of an answer's number and of its OAuth error, as far as there are any."""
    codes = (number_of(answer), str(answer.get("error", "")))
    return [_ANSWERED[code] for code in codes if code in _ANSWERED]
