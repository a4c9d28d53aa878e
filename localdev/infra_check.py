"""The infra part of `dev.py check`: Checkov's policies. Checkov has its own environment: it brings a hundred
packages."""

import subprocess
import sys
from pathlib import Path

from localdev.environment import InstallError
from localdev.progress import Progress
from localdev.side_environment import SideEnvironment

PROJECT = Path(__file__).resolve().parents[1]
CHECKOV = "checkov==3.3.30"
# Checkov's parser does not know `extension` yet. The file creates no Azure resource, and no policy is about it.
_WITHOUT = "registration.bicep"


def main() -> int:
    """Returns Checkov's exit code: 0 when every policy holds or has an explained exception."""
    try:
        python = SideEnvironment(PROJECT, "checkov", [CHECKOV]).ensure(Progress(sys.stderr))
    except InstallError as error:
        print(f"infra: {error}", file=sys.stderr)
        return 1
    files = sorted(str(file) for file in (PROJECT / "infra").glob("*.bicep") if file.name != _WITHOUT)
    # No account and no network: the policies are in the package.
    options = ["--framework", "bicep", "--compact", "--quiet", "--skip-download"]
    return subprocess.run([python, "-m", "checkov.main", *options, "--file", *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
