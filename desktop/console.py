"""What the client says: results on stdout, everything else on stderr; for people, or (`--json`) for programs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO


@dataclass(frozen=True)
class Console:
    """Where words go."""

    out: TextIO
    err: TextIO
    as_json: bool = False

    def result(self, content: Mapping[str, Any], lines: Iterable[str]) -> None:
        """What the command was for: one JSON object, or lines."""
        text = json.dumps(content) if self.as_json else "\n".join(lines)
        print(text, file=self.out, flush=True)

    def event(self, name: str, content: Mapping[str, Any], text: str) -> None:
        """Something to know while the command runs: one JSON line, or `text`."""
        print(json.dumps({"event": name, **content}) if self.as_json else text, file=self.err, flush=True)

    def progress(self, text: str) -> None:
        """How long it may still take: one line that is written over, on a terminal only."""
        if not self.as_json and self.err.isatty():
            print(f"\r{text}\x1b[K", end="", file=self.err, flush=True)
