"""Takes each guard out of a scratch copy of the project and runs its test, which must then fail.

.venv/bin/python -m tests.security.guards            every guard (a minute or two)
.venv/bin/python -m tests.security.guards session    those whose name holds "session"
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

_LEFT_OUT = shutil.ignore_patterns(".venv", ".git", ".local", ".*_cache", ".hypothesis", "__pycache__", "node_modules")
_PASSED, _FAILED = 0, 1  # pytest's exit codes; others mean that it could not run
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
        (("if not app.settings.admits(signed_in.person.tenant_id):", "if not app.settings:"),),
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
        "shared/store/tables/store.py",
        (("if account.account_id != account_id:", "if not account.account_id:"),),
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
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode not in (_PASSED, _FAILED):
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return done.returncode == _PASSED


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


def main(words: Sequence[str]) -> int:
    """Returns 0 when every guard's test fails without it."""
    chosen = [guard for guard in GUARDS if all(word in guard.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        copy = Path(folder) / "understudy"
        shutil.copytree(ROOT, copy, ignore=_LEFT_OUT)
        if not passes(sorted({_HERE + guard.test for guard in chosen}), copy):
            sys.stderr.write("the tests fail with every guard in its place; mend that first\n")
            return 2
        missed = 0
        for guard in chosen:
            stops = stops_somebody(guard, copy)
            missed += stops
            say(f"{'missed when gone' if stops else 'NOT MISSED':<18} {guard.name}  ({guard.test})")
    say(f"{missed} of {len(chosen)} guards were missed when taken out")
    return int(missed != len(chosen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
