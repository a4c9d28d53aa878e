"""Other Pythons on this machine: from PATH, Windows' launcher, pyenv or uv."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_ASK = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"


def find(version: str) -> Path | None:
    """Finds an interpreter of a minor version such as "3.13". Returns None when none runs."""
    for command in _candidates(version):
        said = _output([*command, "-c", _ASK]).split(maxsplit=1)
        if len(said) == 2 and said[0] == version:
            return Path(said[1].strip())
    return None


def _candidates(version: str) -> Iterator[Sequence[str]]:
    yield (sys.executable,)
    yield (f"python{version}",)
    if os.name == "nt":
        yield ("py", f"-{version}")
    # pyenv's python3.13 on PATH runs only in folders where that version is selected.
    for name in reversed(_output(["pyenv", "versions", "--bare"]).split()):
        if name.startswith(f"{version}."):
            prefix = Path(_output(["pyenv", "prefix", name]).strip())
            yield (str(prefix / ("python.exe" if os.name == "nt" else "bin/python")),)
    uv = _output(["uv", "python", "find", "--no-python-downloads", version]).strip()
    if uv:
        yield (uv,)


def _output(command: Sequence[str]) -> str:
    """The command's output, or "" when it fails or doesn't exist."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
