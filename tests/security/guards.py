"""python3 dev.py guards: takes guards out of a copy of the project, one at a time. Tests must then fail.

python3 dev.py guards session    every guard of one module, found by machine (mutation.py)
python3 dev.py guards list       those of the list here: each is more than one condition, and its test is known
python3 dev.py guards            all
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.security.mutation import FAILED, MODULES, PASSED, SuiteFails, copy_of, report, run_tests
from tests.support import ROOT

_HERE = "tests/security/"


@dataclass(frozen=True)
class Guard:
    """One thing that stops an attacker.

    Attributes:
        name: what it ensures.
        file: where it is.
        changes: pairs of the guard's code and the code without it.
        test: the test that then fails.
    """

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]
    test: str


GUARDS = (
    Guard(
        "a blob opens for its owner only",
        "shared/sealing.py",
        (("purpose.encode() + owner.encode()", "purpose.encode()"),),
        "test_stolen_table.py::test_swapped_blobs_open_in_neither_row",
    ),
    Guard(
        "a cookie opens for its purpose only",
        "shared/sealing.py",
        (
            ('len(purpose).to_bytes(2, "big") + purpose.encode() + owner.encode()', "owner.encode()"),
            ('info=b"understudy:" + purpose.encode()', 'info=b"understudy:"'),
        ),
        "test_sessions.py::test_flow_cookie_is_no_session",
    ),
    Guard(
        "sign-out ends every copy of a session",
        "shared/web/requests.py",
        (("account is None or account.session_generation != session.generation", "account is None"),),
        "test_sessions.py::test_old_session_stays_dead_after_the_next_sign_in",
    ),
    Guard(
        "a session ends when idle",
        "shared/session.py",
        ((" or now - session.seen_at >= self._idle", ""),),
        "test_sessions.py::test_session_ends_when_idle",
    ),
    Guard(
        "other sites change nothing",
        "signin/routes.py",
        (("    refuse_other_sites(req, app.settings.base_url)\n", ""),),
        "test_requests.py::test_other_sites_sign_nobody_out",
    ),
    Guard(
        "nobody is sent to another site",
        "signin/sign_in.py",
        (('if not _LOCAL_PATH.fullmatch(text) or "//" in text:', 'if "\\n" in text:'),),
        "test_sign_in_flow.py::test_foreign_page_is_refused_over_http_however_it_is_encoded",
    ),
    Guard(
        "a callback belongs to the browser that began",
        "shared/session.py",
        (('content["flow"]["state"] != state or ', ""),),
        "test_sign_in_flow.py::test_flow_of_another_state_is_refused",
    ),
    Guard(
        "id tokens are verified",
        "shared/identity/confidential_client.py",
        (
            (
                'self.verifier.verify_id_token(str(result.get("id_token", "")), client_id=self._settings.client_id)',
                'dict(result.get("id_token_claims") or {})',
            ),
        ),
        "test_id_tokens.py::test_forged_id_token_signs_nobody_in",
    ),
    Guard(
        "only listed tenants come in",
        "signin/sign_in.py",
        (("if not app.settings.admits(person.tenant_id):", "if not app.settings:"),),
        "test_sign_in_flow.py::test_person_of_another_tenant_is_refused_and_nothing_is_stored",
    ),
    Guard(
        "no secret is logged",
        "shared/services.py",
        (("    log_redaction.install(settings)\n", ""),),
        "test_logs.py::test_no_flow_says_a_secret_in_this_process",
    ),
    Guard(
        "a row speaks of its own account only",
        "shared/store/tables/reading.py",
        (
            (
                "slot == account.slot and key in (row_key(account.account_id), first_key(account.account_id))",
                "account.account_id",
            ),
        ),
        "test_stolen_table.py::test_somebodys_row_under_another_key_lets_nobody_in",
    ),
    Guard(
        "operators need their role",
        "shared/web/requests.py",
        (("    if not is_operator(roles, tenant_id, app):\n", "    if not app:\n"),),
        "test_requests.py::test_people_without_the_role_see_nobody_else",
    ),
    Guard(
        "a parameter comes once",
        "shared/web/requests.py",
        (("if len(pairs) != len({name for name, _ in pairs}):", "if not isinstance(pairs, list):"),),
        "test_sign_in_flow.py::test_repeated_parameter_is_refused",
    ),
    Guard(
        "requests have a size",
        "shared/web/error_handler.py",
        (("            refuse_oversized(req)\n", ""),),
        "test_requests.py::test_oversized_request_is_refused",
    ),
    Guard(
        "cookies are out of reach of scripts",
        "shared/session.py",
        (("; HttpOnly", ""),),
        "test_sessions.py::test_cookies_are_out_of_reach_of_scripts_and_other_sites",
    ),
)


def applied(guard: Guard, text: str) -> str:
    """The file's text without the guard.

    Raises:
        LookupError: the guard's code does not occur exactly once: this list is out of date.
    """
    for code, without in guard.changes:
        if text.count(code) != 1:
            raise LookupError(f"{guard.name}: {guard.file} holds {code!r} {text.count(code)} times")
        text = text.replace(code, without)
    return text


def passes(tests: Sequence[str], project: Path) -> bool:
    """Runs tests in a copy. Raises RuntimeError when they could not be run."""
    done = run_tests(tests, project)
    if done.returncode not in (PASSED, FAILED):
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return done.returncode == PASSED


def stops_somebody(guard: Guard, project: Path) -> bool:
    """Whether the guard's test fails without it."""
    file = project / guard.file
    whole = file.read_text("utf-8")
    file.write_text(applied(guard, whole), "utf-8")
    try:
        return not passes([_HERE + guard.test], project)
    finally:
        file.write_text(whole, "utf-8")


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def try_list() -> int:
    """Takes out each guard of the list. Returns how many were not missed. Raises SuiteFails."""
    began = time.monotonic()
    with copy_of(ROOT) as copy:
        if not passes(sorted({_HERE + guard.test for guard in GUARDS}), copy):
            raise SuiteFails("run python3 dev.py test tests/security")
        missed = [stops_somebody(guard, copy) for guard in GUARDS]
    for guard in (guard for guard, stops in zip(GUARDS, missed, strict=True) if not stops):
        say(f"NOT MISSED {guard.name}  ({guard.test})")
    say(f"list: {len(GUARDS)} guards taken out, {sum(missed)} missed; {time.monotonic() - began:.0f} s")
    return missed.count(False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when every guard was missed, or is harmless; 1 when one was not; 2 when tests fail with all of them."""
    names = ("list", *MODULES)
    parser = argparse.ArgumentParser(
        prog="dev.py guards", description="Takes guards out one at a time and says which no test missed."
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(names)}; without a name, all of them")
    chosen = parser.parse_args(arguments).names or names
    for unknown in set(chosen) - set(names):
        parser.error(f"there is no {unknown!r}")
    try:
        left = [try_list() if name == "list" else report(name, say=say) for name in chosen]
    except SuiteFails as failure:
        sys.stderr.write(f"tests fail with every guard in its place; mend that first\n{failure}\n")
        return 2
    return int(any(left))


if __name__ == "__main__":
    sys.exit(main())
