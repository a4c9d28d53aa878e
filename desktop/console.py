"""Output: results on stdout, everything else on stderr; as text for people, or as JSON (`--json`) for programs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO


@dataclass(frozen=True)
class Console:
    """Where output goes, and in which form."""

    out: TextIO
    err: TextIO
    as_json: bool = False

    def show_result(self, content: Mapping[str, Any], lines: Iterable[str]) -> None:
        """Prints what the command is for: `content` as one JSON object, or `lines`."""
        text = json.dumps(content) if self.as_json else "\n".join(lines)
        print(text, file=self.out, flush=True)

    def show_event(self, name: str, content: Mapping[str, Any], text: str) -> None:
        """Prints what happens meanwhile: one JSON line, or `text`."""
        print(json.dumps({"event": name, **content}) if self.as_json else text, file=self.err, flush=True)

    def show_progress(self, text: str) -> None:
        """Writes over the current line with `text`, on a terminal and without `--json` only."""
        if not self.as_json and self.err.isatty():
            print(f"\r{text}\x1b[K", end="", file=self.err, flush=True)
