"""What a long first step shows: lines, and on a terminal also one line that is updated.

Standard library only: it runs before anything is installed.
"""

import os
import shutil
from typing import TextIO

_DIM, _PLAIN, _ERASE = "\033[2m", "\033[0m", "\r\033[K"


class Progress:
    """Writes to one stream. Honours NO_COLOR (no-color.org). Anything but a terminal gets plain lines only."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self._terminal and not os.environ.get("NO_COLOR")

    def say(self, line: str) -> None:
        """Prints a line that stays."""
        self._stream.write(f"{_ERASE if self._terminal else ''}{line}\n")
        self._stream.flush()

    def show(self, detail: str) -> None:
        """Shows the current step on a terminal. The next step replaces it."""
        if self._terminal:
            text = detail[: shutil.get_terminal_size().columns - 1]
            self._stream.write(_ERASE + (f"{_DIM}{text}{_PLAIN}" if self._colour else text))
            self._stream.flush()
