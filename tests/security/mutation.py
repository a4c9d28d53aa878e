"""Takes the guards of one module out, one at a time, and runs the tests that get to them.

Nobody misses a guard when all these tests pass without it. docs/security.md says which ones may be missed, and why.
On two cores that also did other work, a module took from one minute (limits) to seventeen (session).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.security.mutants import Mutant, mutants_of
from tests.support import ROOT

LEFT_OUT = shutil.ignore_patterns(".venv", ".git", ".local", ".*_cache", ".hypothesis", "__pycache__", "node_modules")
PASSED, FAILED = 0, 1  # pytest's exit codes; others mean that it could not run
AT_A_TIME = 2
_LONGEST_SECONDS = 180.0  # a mutant may wait for ever
_HARMLESS = re.compile(r"^\| `(?P<file>[\w/]+\.py)` \| (?P<mutant>.+?) \| [^|]+ \|$", re.MULTILINE)


@dataclass(frozen=True)
class Module:
    """A module that keeps somebody out, and the tests that should notice when it doesn't."""

    file: str
    tests: tuple[str, ...]


MODULES: Mapping[str, Module] = {
    "limits": Module("shared/web/limits.py", ("tests/security/test_limits.py",)),
    "sealing": Module(
        "shared/sealing.py",
        (
            "tests/security/test_sealing.py",
            "tests/security/test_keys.py",
            "tests/shared/test_properties_sealing.py",
        ),
    ),
    "log_redaction": Module("shared/log_redaction.py", ("tests/security/test_logs.py",)),
    "telemetry": Module("shared/telemetry.py", ("tests/shared/test_telemetry.py",)),
    "session": Module(
        "shared/session.py",
        (
            "tests/security/test_sessions.py",
            "tests/security/test_sign_in_flow.py",
            "tests/shared/test_properties_cookies.py",
        ),
    ),
    "verification": Module(
        "shared/identity/verification.py",
        (
            "tests/security/test_id_tokens.py",
            "tests/web_api/test_keys.py",
            "tests/web_api/test_tokens.py",
        ),
    ),
    "bearer": Module(
        "shared/identity/bearer.py",
        (
            "tests/web_api/test_tokens.py",
            "tests/web_api/test_keys.py",
            "tests/operators/test_accounts.py",
        ),
    ),
    "requests": Module(
        "shared/web/requests.py",
        (
            "tests/security/test_requests.py",
            "tests/security/test_sessions.py",
            "tests/security/test_sign_in_flow.py",
            "tests/web_api/test_profile.py",
            "tests/operators/test_accounts.py",
            "tests/test_bad_input.py",
        ),
    ),
    "routes": Module(
        "operators/routes.py",
        (
            "tests/operators/test_accounts.py",
            "tests/security/test_requests.py",
        ),
    ),
}


class SuiteFails(Exception):
    """The tests fail with every guard in its place. Its text is the end of what pytest said."""


@dataclass(frozen=True)
class Verdict:
    """What taking one guard out showed.

    Attributes:
        missed: whether a test failed.
        tests: how many got to the guard.
    """

    mutant: Mutant
    missed: bool
    tests: int


def harmless_in(page: str) -> set[tuple[str, str]]:
    """The mutants that docs/security.md calls harmless, by file and `str(mutant)`."""
    return {(row["file"], row["mutant"].replace("\\|", "|")) for row in _HARMLESS.finditer(page)}


def try_module(
    module: Module,
    *,
    project: Path = ROOT,
    wanted: Callable[[Mutant], bool] = lambda _: True,
    at_a_time: int = AT_A_TIME,
) -> Iterator[Verdict]:
    """Takes out each wanted guard of the module, in copies of the project. Yields verdicts as they come.

    Raises:
        SuiteFails: with every guard in its place.
    """
    source = (project / module.file).read_text("utf-8")
    with copy_of(project) as whole:
        reached = _reach(module, whole, at_a_time)
        folders = [whole]
        for number in range(1, at_a_time):
            folders.append(whole.with_name(f"copy{number}"))
            shutil.copytree(whole, folders[-1])
        free: SimpleQueue[Path] = SimpleQueue()
        for folder in folders:
            free.put(folder)

        def judge(mutant: Mutant) -> Verdict:
            lines = range(mutant.lines[0], mutant.lines[1] + 1)
            tests = [test for test, seen in reached.items() if not seen.isdisjoint(lines)]
            folder = free.get()
            try:
                return Verdict(mutant, _is_missed(mutant, module.file, source, tests, folder), len(tests))
            finally:
                free.put(folder)

        with ThreadPoolExecutor(at_a_time) as pool:
            yield from pool.map(judge, filter(wanted, mutants_of(source)))


@contextmanager
def copy_of(project: Path) -> Iterator[Path]:
    """A copy of the project, to be changed at will."""
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        copy = Path(folder).resolve() / "copy0"
        shutil.copytree(project, copy, ignore=LEFT_OUT)
        yield copy


def run_tests(
    arguments: Sequence[str], project: Path, *, keep_code: bool = False, seconds: float | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs pytest in a copy until a test fails. Raises subprocess.TimeoutExpired.

    Args:
        keep_code: whether Python may keep compiled code. It tells changes apart by the second: not of a changed file.
    """
    # Schemathesis takes a second to import, and only the fuzzed requests need it.
    plugins = ("-p", "no:cacheprovider", "-p", "no:schemathesis")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", *plugins, *arguments],
        cwd=project,
        env=dict(os.environ) if keep_code else {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def _reach(module: Module, project: Path, at_a_time: int) -> dict[str, set[int]]:
    """The lines of the module that each of its tests reaches; quick tests first."""
    notes = project / ".reach"
    notes.mkdir()
    options = ("--reach-of", str(project / module.file), "--reach-to", str(notes))
    done = run_tests(
        ["-p", "tests.security.reach", "-n", str(at_a_time if at_a_time > 1 else 0), *options, *module.tests],
        project,
        keep_code=True,
    )
    for kept in (project / module.file).parent.glob(f"__pycache__/{Path(module.file).stem}.*"):
        kept.unlink()
    if done.returncode != PASSED:
        raise SuiteFails(f"pytest ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    tests: dict[str, tuple[float, list[int]]] = {}
    for file in notes.iterdir():
        tests |= json.loads(file.read_text("utf-8"))
    return {test: set(lines) for test, (_, lines) in sorted(tests.items(), key=lambda each: each[1][0])}


def _is_missed(mutant: Mutant, file: str, source: str, tests: Sequence[str], project: Path) -> bool:
    """Whether one of the tests fails, or hangs, without the guard. Raises SuiteFails when pytest says neither that they
    passed nor that one failed: then nothing is known."""
    if not tests:
        return False
    (project / "chosen.json").write_text(json.dumps(tests), "utf-8")
    (project / file).write_text(mutant.applied(source), "utf-8")
    files = sorted({test.partition("::")[0] for test in tests})
    try:
        done = run_tests(
            ["-p", "tests.security.reach", "--chosen", "chosen.json", *files], project, seconds=_LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        (project / file).write_text(source, "utf-8")
    if done.returncode != PASSED and not re.search(r"\d (failed|error)", done.stdout):
        raise SuiteFails(f"pytest ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode != PASSED


def report(name: str, *, say: Callable[[str], None]) -> int:
    """Tries a module and says what was not missed. Returns how many guards were neither missed nor harmless."""
    module, began, counts = MODULES[name], time.monotonic(), {"missed": 0, "harmless": 0, "NOT MISSED": 0}
    harmless = harmless_in((ROOT / "docs/security.md").read_text("utf-8"))
    for verdict in try_module(module):
        known = (module.file, str(verdict.mutant)) in harmless
        word = "missed" if verdict.missed else "harmless" if known else "NOT MISSED"
        counts[word] += 1
        if not verdict.missed:
            tests = f"{verdict.tests} tests pass" if verdict.tests else "no test gets there"
            say(f"{word:<10} {module.file}:{verdict.mutant.lines[0]} {verdict.mutant} ({tests})")
    said = ", ".join(f"{count} {word}" for word, count in counts.items())
    say(f"{name}: {sum(counts.values())} guards taken out, {said}; {time.monotonic() - began:.0f} s")
    return counts["NOT MISSED"]
