"""Copies of the app with one guard taken out. A campaign must find each but the one for a moment that it rarely hits;
tests/timer_worker/test_hint_protocol.py tries that one's every interleaving."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

_LEFT_OUT = (".*", "__pycache__", "tests", "docs", "bench", "desktop", "infra")


@dataclass(frozen=True)
class Mutant:
    """One change: in `file`, what `pattern` (a regular expression) matches becomes `replacement`."""

    file: str
    pattern: str
    replacement: str


MUTANTS: Mapping[str, Mutant] = {
    "no-etag": Mutant(
        "shared/store/tables/batches.py",
        r'return \{"mode": mode, "etag": account\.etag, "match_condition"',
        'return {"mode": mode, "etag": account.etag if merge else "*", "match_condition"',
    ),
    "notification-first": Mutant(
        "timer_worker/slot_run.py",
        r"( +)set_aside = \[\]\n",
        r"\1set_aside = []\n\1notifications.send([turn.after for turn in remaining], self._app)\n",
    ),
    "503-is-sign-in-required": Mutant(
        "shared/identity/classification.py",
        r"return Verdict\(Outcome\.UNAVAILABLE, code=error\.reason\)",
        "return Verdict("
        "Outcome.SIGN_IN_REQUIRED if error.reason == 'http_503' else Outcome.UNAVAILABLE, code=error.reason)",
    ),
    "hint-raised": Mutant(
        "timer_worker/sweep.py",
        r"due_at = min\(this_pass\.next_due\(\) or latest, latest\)",
        "due_at = latest",
    ),
    "hint-raised-at-the-last-moment": Mutant(
        "timer_worker/claim.py",
        r"row, due_at = known, min\(due_at, known\.next_due_at\)",
        "row = known",
    ),
}


def changed_copy(name: str, folder: Path) -> Path:
    """Makes a copy of the app without one guard, and returns its folder. Raises LookupError when the guard isn't
    found: the code has changed, and so must the mutant."""
    mutant = MUTANTS[name]
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    file = folder / mutant.file
    changed, count = re.subn(mutant.pattern, mutant.replacement, file.read_text("utf-8"))
    if count != 1:
        raise LookupError(f"mutant {name}: {count} places in {mutant.file} look like its guard")
    file.write_text(changed, "utf-8")
    return folder
