"""The results of benchmarks, shown as a table or as one JSON object."""

import json
import operator
from collections.abc import Iterable
from dataclasses import dataclass

_WORDS = {True: "met", False: "MISSED", None: ""}
_COMPARISONS = {">=": operator.ge, "<=": operator.le, "=": operator.eq}


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        key: `<benchmark>.<name>`.
        target: a comparison such as `>= 50`, `<= 1.4` or `= 0`; "" when there is none.
    """

    key: str
    value: float
    unit: str = ""
    target: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Is the target met? None when there is none."""
        if not self.target:
            return None
        comparison, bound = self.target.split()
        return bool(_COMPARISONS[comparison](self.value, float(bound)))


def table(figures: Iterable[Figure]) -> str:
    """One line per figure, in columns."""
    rows = [("figure", "value", "unit", "target", "", "")]
    rows += [(each.key, shown(each.value), each.unit, each.target, _WORDS[each.met], each.note) for each in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row in rows:
        key, value, *words = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        lines.append("  ".join([key, value.strip().rjust(widths[1]), *words, row[-1]]).rstrip())
    return "\n".join(lines)


def as_json(figures: Iterable[Figure]) -> str:
    """One object: key -> value."""
    return json.dumps({each.key: round(each.value, 4) for each in figures})


def shown(value: float) -> str:
    """A number with four significant digits."""
    if value == int(value):
        return str(int(value))
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
