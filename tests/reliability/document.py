"""Writes the tables of docs/reliability.md from the fault matrix: `python -m tests.reliability.document`.

tests/reliability/test_document.py fails while the page and the matrix differ.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby

from tests.reliability.matrix import Due, Level, Seen, Swept
from tests.reliability.rows import ROWS
from tests.support import ROOT

PAGE = ROOT / "docs" / "reliability.md"
_BEGIN, _END = "<!-- written by tests/reliability/document.py -->", "<!-- end -->"
_COLUMNS = 120


def tables() -> str:
    """Two parts per group of faults: how a sweep ends, and how a request ends."""
    parts = []
    for group, members in groupby(ROWS, key=lambda row: row.group):
        rows = list(members)
        swept = [(row.fault, _swept(row.fault, row.swept)) for row in rows if row.swept]
        seen = [(row.fault, _seen(row.fault, row.seen, row.called)) for row in rows if row.seen]
        parts.append(f"### {group}\n\n{_part('Sweep', swept)}\n{_part('Request', seen)}")
    return "\n".join(parts)


def written(page: str) -> str:
    """The page with its tables as the matrix has them."""
    before, rest = page.split(_BEGIN, 1)
    return f"{before}{_BEGIN}\n\n{tables()}\n{_END}{rest.split(_END, 1)[1]}"


def _part(title: str, faults: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """One sentence for the cells that all faults share, then a table of the others. Faults with equal cells stand side
    by side where they fit; in a further row of theirs the cells stay empty."""
    first = faults[0][1]
    differ = [name for name in first if len({cells[name] for _, cells in faults}) > 1]
    same = ", ".join(f"{name} {first[name]}" for name in first if name not in differ)
    lead = textwrap.fill(f"**{title}**{', whatever the fault' if same else ''}: {same}".strip(), _COLUMNS)
    if not differ:
        return f"{lead}\n"
    together: dict[tuple[str, ...], list[str]] = {}
    for fault, cells in faults:
        together.setdefault(tuple(cells[name] for name in differ), []).append(fault)
    lines = [_line(["fault", *differ]), "|---" * (len(differ) + 1) + "|"]
    for values, members in together.items():
        packed = _packed(members, _COLUMNS - len(_line(["", *values])))
        lines += [_line([packed[0], *values]), *(_line([fault, *[""] * len(values)]) for fault in packed[1:])]
    return f"{lead}\n\n" + "\n".join(lines) + "\n"


def _packed(faults: Sequence[str], width: int) -> list[str]:
    """Faults side by side, in as few cells of this width as possible."""
    cells = [faults[0]]
    for fault in faults[1:]:
        longer = f"{cells[-1]}; {fault}"
        cells[-1:] = [longer] if len(longer) <= width else [cells[-1], fault]
    return cells


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _swept(fault: str, end: Swept) -> dict[str, str]:
    return {
        "outcome": f"`{end.outcome}`" if end.outcome else "not counted",
        "account": "gone" if end.due is Due.GONE else f"`{end.state}`",
        "failure": f"`{_general(fault, end.code)}`" if end.code else "none",
        "next turn": str(end.due),
        "log": _logged(fault, end),
    }


def _logged(fault: str, end: Swept) -> str:
    if end.fails:
        return f"{end.level}, the invocation fails"
    if end.stopped:
        return f"{end.level}, stopped: `{_general(fault, _plain(end.stopped))}`"
    named = end.level is Level.NONE or _plain(end.reason) == f"{end.outcome} {end.code} (1)"
    return str(end.level) if named else f"{end.level}: `{_plain(end.reason).strip()}`"


def _seen(fault: str, end: Seen, called: int) -> dict[str, str]:
    return {
        "/me": f"{end.status} `{_general(fault, end.code)}` “{end.words}”"
        if end.code
        else f"{end.status}, the profile",
        "/api/profile": str(called),
        "account": "gone" if end.state is None else f"`{end.state}`",
        "log": str(end.level if end.code else Level.NONE),
    }


def _general(fault: str, text: str) -> str:
    """`text` with <code> for the code or status that the fault names."""
    named = [name for name in re.findall(r"\d{3,}|[a-z]+(?:_[a-z]+)+", fault) if name in text]
    return text.replace(named[0], "<code>") if named else text


def _plain(pattern: str) -> str:
    """A regular expression of the matrix as words."""
    return re.sub(r"\\(.)", r"\1", pattern).replace(" .* ", " … ").replace(".*", "…")


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
