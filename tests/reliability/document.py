"""Writes the tables of docs/reliability.md from the fault matrix: `python -m tests.reliability.document`.

tests/reliability/test_document.py fails while the page and the matrix differ.
"""

import re
from itertools import groupby

from tests.reliability.matrix import Due, Level, Row, Seen, Swept
from tests.reliability.rows import ROWS
from tests.support import ROOT

PAGE = ROOT / "docs" / "reliability.md"
_BEGIN, _END = "<!-- written by tests/reliability/document.py -->", "<!-- end -->"
_HEAD = (
    "| fault | sweep: counted, account afterwards | next turn | operator | person at /me | caller of /api/profile |\n"
    "| --- | --- | --- | --- | --- | --- |"
)
_NOT_HERE = "does not apply"


def tables() -> str:
    """All tables, one per group of faults."""
    parts = []
    for group, rows in groupby(ROWS, key=lambda row: row.group):
        lines = "\n".join(_line(row) for row in rows)
        parts.append(f"### {group}\n\n{_HEAD}\n{lines}\n")
    return "\n".join(parts)


def written(page: str) -> str:
    """The page with the tables of the matrix."""
    before, rest = page.split(_BEGIN, 1)
    return f"{before}{_BEGIN}\n\n{tables()}\n{_END}{rest.split(_END, 1)[1]}"


def _line(row: Row) -> str:
    cells = [row.fault, *_swept(row.swept), _seen(row.seen), str(row.called or _NOT_HERE)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _swept(end: Swept | None) -> tuple[str, str, str]:
    if end is None:
        return _NOT_HERE, "", ""
    counted = f"`{end.outcome}`" if end.outcome else "not counted"
    state = "gone" if end.due is Due.GONE else f"`{end.state}`"
    failure = f", failure `{end.code}`" if end.code else ""
    then = "" if end.then else "; the next sweep does not ask for them"
    return f"{counted}; {state}{failure}", f"{end.due}{then}", _told(end)


def _told(end: Swept) -> str:
    if end.level is Level.NONE:
        return "nothing louder than info"
    if end.fails:
        return "the invocation fails, one error"
    return f"one {end.level}" + (
        f": sweep stopped, `{_plain(end.stopped)}`" if end.stopped else f": `{_plain(end.reason)}`"
    )


def _seen(end: Seen | None) -> str:
    if end is None:
        return _NOT_HERE
    if not end.code:
        return "200, their profile; nothing is logged louder than info"
    state = "row gone" if end.state is None else f"`{end.state}`"
    return f"{end.status} `{end.code}` “{end.words}”; {state}; one {end.level}"


def _plain(pattern: str) -> str:
    """A regular expression of the matrix as plain text."""
    return re.sub(r"\\(.)", r"\1", pattern).replace(" .* ", " … ").replace(".*", "…")


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
