"""The table of error codes: its rows agree with themselves, and every part of the app says the same about a code."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import get_args
from urllib.parse import parse_qs, urlsplit

import pytest

from desktop.failures import Failed
from shared.accounts import Outcome
from shared.error_codes import ERROR_CODES, EntraError, Page, diagnosis_of, explain, explain_answer
from shared.errors import SignInFailed
from shared.identity.classification import classify
from shared.identity.sign_in_errors import sign_in_refused
from shared.identity.sign_in_link import sign_in_path
from shared.web.error_pages import PAGES, advice_for
from tests.running_app import RunningApp
from tests.support import ROOT
from tests.web_api.api_client import api_token, call, challenge_in, problem_in

BEN = "ben@contoso.example"
UNKNOWN_NUMBER = 9999999
OAUTH_ERRORS = sorted(
    {"invalid_grant", "interaction_required", "login_required", "consent_required", "invalid_client"}
    | {"unauthorized_client", "invalid_scope", "invalid_request", "invalid_resource", "invalid_tenant"}
    | {"unsupported_grant_type", "access_denied", "temporarily_unavailable", "server_error", "nobody_knows"}
)

# Codes that say that the app's secret, certificate or federated credential is refused.
CREDENTIAL_CODES = sorted(
    {"50012", "50027", "50048", "700023", "700024", "700025", "700027", "700030", "700211", "700212", "700213"}
    | {"7000215", "7000218", "7000222", "invalid_client"}
)

# From "Microsoft Entra authentication and authorization error codes": what needs the person (or, for a device, an
# account or a consent, their administrator) and can answer a refresh token or an on-behalf-of exchange. Left out: what
# only an interactive sign-in meets (16001, 50126, 50140, 50199, 65004, 70016 to 70020); what only other clients meet
# (700084: single-page apps; 53010, 120000 to 120021: the pages for security info and passwords); and faults of a
# federated identity provider (20001 to 40015).
NEEDS_THE_PERSON = {
    "16000": "named InteractionRequired: a guest was removed",
    "50005": "conditional access looks at the platform at every refresh",
    "50014": "a guest whose invitation is pending",
    "50015": "consent for a minor",
    "50034": "the account was deleted",
    "50053": "locked while we hold a refresh token",
    "50055": "its remedy is to change the password",
    "50058": "not signed in",
    "50072": "interactive enrolment for a second factor",
    "50074": "second factor",
    "50076": "second factor; 'retry with a new authorize request'",
    "50078": "the second factor has expired",
    "50079": "enrolment for a second factor",
    "50085": "'have user try signing-in again'",
    "50089": "'the app will request a new login from the user'",
    "50097": "device authentication",
    "50105": "assignment can be withdrawn after the sign-in",
    "50125": "registration for password reset",
    "50127": "broker app",
    "50129": "workplace join",
    "50131": "conditional access",
    "50132": "the session ended with the password",
    "50133": "the session ended with the password",
    "50135": "password change because of risk",
    "50139": "the external refresh token is missing",
    "50144": "the on-premises password has expired",
    "50155": "device authentication",
    "50158": "an external check",
    "50173": "'have the user sign in again'",
    "50187": "device authentication",
    "50197": "'try signing in again'",
    "51006": "'request the user to log in again'",
    "51004": "the account is not in the directory",
    "53000": "device compliance is looked at at every refresh",
    "53001": "device",
    "53002": "approved client apps",
    "53003": "conditional access",
    "53004": "registration for a second factor",
    "53011": "blocked because of risk",
    "54000": "a rule for minors",
    "65001": "'send an interactive authorization request'",
    "70000": "the refresh token isn't valid",
    "70008": "the refresh token has expired",
    "70043": "sign-in frequency",
    "90072": "a guest's second factor",
    "90093": "consent of an administrator",
    "90094": "consent of an administrator",
    "90095": "consent of an administrator",
    "500133": "on-behalf-of: the caller's token has expired",
    "500212": "the home organisation's rules for other organisations",
    "500213": "this organisation's rules for others",
    "530032": "a security policy of the tenant",
    "530034": "blocked because of risk",
    "530035": "security defaults",
    "700020": "named InteractionRequired",
    "700082": "the refresh token was inactive for too long",
    "9002341": "'the user should be redirected to the consent screen'",
}

ROWS = [
    *ERROR_CODES.items(),
    *(
        (f"unknown, {each}", explain("?", outcome=each))
        for each in (Outcome.SIGN_IN_REQUIRED, Outcome.MISCONFIGURED, Outcome.UNREADABLE, Outcome.UNAVAILABLE)
    ),
]


@pytest.mark.parametrize("code", CREDENTIAL_CODES)
def test_a_refused_credential_is_the_operators_to_fix_and_affects_the_whole_app(code: str) -> None:
    """The person can't fix it, and the app can't act for anybody."""
    row = explain(code)
    assert (row.fixer, row.outcome, row.affects) == ("operator", Outcome.MISCONFIGURED, "app")


@pytest.mark.parametrize("code", NEEDS_THE_PERSON)
def test_what_needs_the_person_sets_them_aside(code: str) -> None:
    """After such a code the account waits for a sign-in, whatever OAuth error comes with the number."""
    assert ERROR_CODES[code].outcome is Outcome.SIGN_IN_REQUIRED
    for error in ("invalid_grant", "interaction_required", "access_denied"):
        assert classify({"error": error, "error_codes": [int(code)]}).outcome is Outcome.SIGN_IN_REQUIRED


@pytest.mark.parametrize(("code", "row"), ROWS)
def test_a_row_agrees_with_itself(code: str, row: EntraError) -> None:
    """The outcome determines who can fix it, and only that person is asked."""
    fixers = {
        None: {"you", "operator"},
        Outcome.SIGN_IN_REQUIRED: {"you", "administrator"},
        Outcome.MISCONFIGURED: {"operator"},
        Outcome.UNREADABLE: {"operator"},
        Outcome.THROTTLED: {"nobody"},
        Outcome.UNAVAILABLE: {"nobody"},
    }
    assert row.fixer in fixers[row.outcome]
    if row.fixer in ("operator", "nobody"):
        assert (row.prompt, row.challenge, row.page, row.exit_code) == ("", "invalid_token", "", 1)
    if row.exit_code == 3:
        assert (row.fixer, row.outcome) == ("you", Outcome.SIGN_IN_REQUIRED)
    if row.affects != "tenant":
        assert row.outcome in (Outcome.MISCONFIGURED, None)
    if row.challenge == "insufficient_scope":
        assert (row.prompt, row.fixer) in (("consent", "you"), ("", "administrator"))
    if row.prompt == "consent":
        assert row.challenge == "insufficient_scope"
    for words in (row.happened, row.remedy):
        assert re.fullmatch(r"[A-Z].*\.", words)


@pytest.mark.parametrize("code", ERROR_CODES)
def test_a_code_is_a_number_or_a_word(code: str) -> None:
    """It is written as in an answer, without `AADSTS`."""
    assert re.fullmatch(r"[1-9]\d{4,6}|[a-z]+(_[a-z]+)*", code)


def test_every_page_that_a_row_names_exists_and_every_page_has_a_row() -> None:
    """`page` is one of shared/web/error_pages.py."""
    named = {row.page for row in ERROR_CODES.values()}
    assert named == set(get_args(Page))
    assert named - {""} <= PAGES.keys()


def test_no_other_module_knows_a_number() -> None:
    """A new AADSTS code is one row in one file."""
    folders = ("desktop", "graph_me", "health", "operators", "shared", "signin", "timer_worker", "web_api")
    files = (file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    elsewhere = {
        f"{file.relative_to(ROOT)}: {found}"
        for file in files
        if file != ROOT / "shared" / "error_codes.py"
        for found in re.findall(r"""["'](?:AADSTS)?(\d{5,7})["']""", file.read_text("utf-8"))
    }
    assert elsewhere == set()


def test_the_table_is_a_leaf() -> None:
    """The desktop client and the pages can import it without MSAL, Azure's SDK or the settings."""
    code = "import shared.error_codes, sys; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "shared.error_codes" in loaded
    assert not {"msal", "azure", "azure.core", "requests", "shared.settings", "shared.clients"} & loaded


@pytest.mark.parametrize("error", OAUTH_ERRORS)
def test_a_number_without_a_row_is_treated_as_its_oauth_error(error: str, caplog: pytest.LogCaptureFixture) -> None:
    """The sweep, the pages, the API and the desktop client agree, by the answer as by the code that is kept of it. The
    number is in the log, and an unknown code sets nobody aside."""
    plain, numbered = {"error": error}, {"error": error, "error_codes": [UNKNOWN_NUMBER]}
    verdict = classify(numbered)
    assert verdict.outcome is classify(plain).outcome
    assert explain_answer(numbered) == explain_answer(plain) == explain(error)
    kept, meant = explain(verdict.code), explain(error)
    assert (kept.affects, kept.prompt, kept.challenge) == (meant.affects, meant.prompt, meant.challenge)
    assert advice_for(sign_in_refused(numbered)) == advice_for(sign_in_refused(plain))
    assert Failed.from_answer(numbered).exit_code == Failed.from_answer(plain).exit_code
    assert Failed.from_answer(numbered).code == str(UNKNOWN_NUMBER)
    assert str(UNKNOWN_NUMBER) in verdict.code + caplog.text
    if error == "nobody_knows":
        assert (verdict.outcome, verdict.code) == (Outcome.UNAVAILABLE, str(UNKNOWN_NUMBER))
    else:
        assert verdict.code == error


@pytest.mark.parametrize(
    ("error", "column", "value"),
    [
        ("invalid_client", "affects", "app"),
        ("consent_required", "prompt", "consent"),
        ("consent_required", "challenge", "insufficient_scope"),
        ("interaction_required", "challenge", "insufficient_user_authentication"),
    ],
)
def test_the_code_that_is_kept_has_the_oauth_errors_columns(error: str, column: str, value: str) -> None:
    """What is asked of the person, or stopped, later is decided by the stored code alone."""
    verdict = classify({"error": error, "error_codes": [UNKNOWN_NUMBER]})
    assert getattr(explain(verdict.code, outcome=verdict.outcome), column) == value


@pytest.mark.parametrize(
    ("number", "outcome"), [(50196, Outcome.THROTTLED), (90055, Outcome.THROTTLED), (90033, Outcome.UNAVAILABLE)]
)
def test_a_number_that_nobody_can_fix_waits_though_it_comes_as_invalid_grant(number: int, outcome: Outcome) -> None:
    """The sign-in is valid: the person must wait and is not set aside."""
    assert classify({"error": "invalid_grant", "error_codes": [number]}).outcome is outcome
    assert explain(str(number)).fixer == "nobody"


@pytest.mark.parametrize("word", ["no_refresh_token", "other_client", "unparsable", "forged", "unknown_key"])
def test_a_word_of_ours_means_nothing_in_an_answer(word: str) -> None:
    """An identity provider that answers with it sets nobody aside."""
    assert ERROR_CODES[word].outcome
    assert classify({"error": word}).outcome is Outcome.UNAVAILABLE
    assert explain_answer({"error": word}) == explain("nobody_knows")


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client"])
def test_a_number_that_once_stood_before_others_leaves_the_outcome_to_the_oauth_error(error: str) -> None:
    """AADSTS70002 was the first of several numbers for faults of the person's as well."""
    answer = {"error": error, "error_codes": [70002, 500133]}
    assert classify(answer).outcome is classify({"error": error}).outcome


@pytest.mark.parametrize("number", [50027, 700023, 700024, 700211, 700212, UNKNOWN_NUMBER])
def test_a_person_is_not_asked_to_sign_in_for_the_operators_fault(
    start_app: Callable[..., RunningApp], number: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The page apologises, the log says what to do, the sweep stops, and nobody is set aside."""
    app = start_app()
    browser = app.browser()
    browser.sign_in(BEN)
    app.tenant.add_fault("token", "oauth_error", body={"error": "invalid_client", "error_codes": [number]})
    answer = browser.get("/me", Accept="application/json")
    assert answer.status_code == 500
    code = "invalid_client" if number == UNKNOWN_NUMBER else str(number)
    words = explain(code)
    assert "We are sorry" in answer.json()["detail"]
    assert words.remedy not in answer.json()["detail"]
    (line,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert f"{words.happened} {words.remedy}" in line
    app.clock.move(minutes=6)
    record = app.sweep()
    assert record is not None
    assert (record.counts, record.stopped) == ({"misconfigured": 1}, f"misconfigured {code}")
    assert str(number) in caplog.text
    assert words.remedy in caplog.records[-1].getMessage()
    assert [each.failure for each in app.accounts()] == [None]


@pytest.mark.parametrize(
    ("number", "stopped"), [(700024, "misconfigured 700024"), (7000215, "misconfigured 7000215"), (700016, "")]
)
def test_a_refused_credential_stops_a_multi_tenant_sweep_and_a_missing_app_skips_its_tenant(
    start_app: Callable[..., RunningApp], number: int, stopped: str
) -> None:
    """The column `affects` decides."""
    app = start_app(AUTHORITY=start_app().tenant.authority_of("organizations"))
    app.browser().sign_in(BEN)
    app.tenant.add_fault("token", "oauth_error", body={"error": "unauthorized_client", "error_codes": [number]})
    app.clock.move(minutes=6)
    record = app.sweep()
    assert record is not None
    assert (record.counts, record.stopped) == ({"misconfigured": 1}, stopped)


@pytest.mark.parametrize("code", ["50072", "50074", "50078", "50079", "50158"])
def test_a_second_factor_is_asked_for_without_a_password(code: str) -> None:
    """Every such code has the same prompt, challenge and exit code as AADSTS50076."""
    prompts = [parse_qs(urlsplit(sign_in_path(code=each)).query).get("prompt") for each in (code, "50076")]
    assert prompts == [None, None]
    row, known = explain(code), explain("50076")
    assert (row.challenge, row.exit_code, row.fixer) == (known.challenge, known.exit_code, known.fixer)


@pytest.mark.parametrize("number", [90093, 90094, 90095])
def test_an_administrators_consent_is_asked_for_alike_on_the_api_and_on_pages(
    start_app: Callable[..., RunningApp], number: int
) -> None:
    """Both name the administrator; the API asks for consent, and the page's sign-in for no password."""
    app = start_app()
    token = api_token(app.tenant, BEN)
    app.tenant.add_fault("token", "oauth_error", body={"error": "invalid_grant", "error_codes": [number]}, times=1)
    refused = call(app, token)
    assert (refused.status_code, challenge_in(refused)["error"]) == (403, "insufficient_scope")
    assert problem_in(refused)["code"] == "consent_required"
    assert "Ask your administrator" in problem_in(refused)["detail"]
    advice = advice_for(SignInFailed("", code=str(number)))
    assert advice.title == "An administrator must agree first"
    assert sign_in_path(code=str(number)) == "/signin"


def test_what_the_provider_said_is_told_without_secrets() -> None:
    """One short line of plain characters; addresses and whatever is as long as a token are left out."""
    said = f"No such grant\r\nfor ada@contoso.example: {'a1B2' * 15} \u202e{'word ' * 100}"
    told = diagnosis_of({"error": "invalid_grant", "error_description": said})
    assert told.startswith("invalid_grant: No such grant for [left out] [left out] ?word")
    assert len(told) <= 200
    assert "set CLIENT_SECRET" not in told
    assert "CLIENT_SECRET" in diagnosis_of({"error": "invalid_client"})
