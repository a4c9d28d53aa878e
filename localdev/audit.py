"""The audit of `dev.py check`: does an advisory name a deployed version? pip-audit asks the registry's advisory
service. When that can't be reached, the audit is skipped and says so."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from localdev.environment import InstallError
from localdev.progress import Progress
from localdev.side_environment import IndexUnreachableError, SideEnvironment

PROJECT = Path(__file__).resolve().parents[1]
PIP_AUDIT = "pip-audit==2.10.1"


def main() -> int:
    """Returns 0 when no advisory names a deployed version, or when the service can't be reached."""
    try:
        python = SideEnvironment(PROJECT, "pip-audit", [PIP_AUDIT]).ensure(Progress(sys.stderr))
    except IndexUnreachableError as error:
        return _skipped(str(error))
    except InstallError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 1
    options = ["--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    command = [str(python), "-m", "pip_audit", "--requirement", "requirements.txt", *options]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return judged(done.stdout, done.stderr)


def judged(output: str, complaints: str) -> int:
    """Prints what pip-audit's output means and returns the exit code."""
    try:
        found = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return _skipped(_last_line(complaints) or "pip-audit said nothing")
    unknown = [each["name"] for each in found if "skip_reason" in each]
    if len(unknown) == len(found):
        return _skipped("it knows none of these packages")
    named = [(each, advisory) for each in found for advisory in each.get("vulns", [])]
    for package, advisory in named:
        print(f"audit: {package['name']} {package['version']}: {_described(advisory)}")
    if unknown:
        print(f"audit: nothing known about {', '.join(unknown)}")
    print(f"audit: {len(named)} advisories for {len(found) - len(unknown)} packages")
    return int(bool(named))


def _described(advisory: dict[str, Any]) -> str:
    return f"{advisory['id']}, mended in {', '.join(advisory['fix_versions']) or 'no version yet'}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _skipped(reason: str) -> int:
    print(f"audit: skipped, the advisory service can't be asked: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
