"""Other Pythons on this machine: on PATH, by Windows' launcher, from pyenv or from uv."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_ASK = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"


def find(version: str) -> Path | None:
    """The interpreter of a minor version such as "3.13"; None when there is none that runs."""
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
    # pyenv's python3.13 on PATH answers only where that version is chosen.
    for name in reversed(_output(["pyenv", "versions", "--bare"]).split()):
        if name.startswith(f"{version}."):
            prefix = Path(_output(["pyenv", "prefix", name]).strip())
            yield (str(prefix / ("python.exe" if os.name == "nt" else "bin/python")),)
    uv = _output(["uv", "python", "find", "--no-python-downloads", version]).strip()
    if uv:
        yield (uv,)


def _output(command: Sequence[str]) -> str:
    """What the command prints; "" when it fails or isn't there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
