"""The last sweeps as pictures: geometry for SVG, made on the server. Colours are the stylesheet's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.accounts import Outcome
from shared.store import SweepRecord
from shared.wording.outcomes import OUTCOME_WORDS

WIDTH, HEIGHT = 600, 100
_STEP, _BAR = 12, 9
_DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Layer:
    """One series of bars as one SVG path.

    Attributes:
        name: an outcome, or of the whole chart.
    """

    name: str
    label: str
    path: str
    total: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, oldest on the left.

    Attributes:
        top: the value at the upper edge.
    """

    layers: tuple[Layer, ...]
    top: float


def outcomes(sweeps: Sequence[SweepRecord]) -> Chart:
    """People by outcome, stacked; `sweeps` newest first. Outcomes that never occurred have no layer."""
    ordered = list(reversed(sweeps))
    top = max((sweep.people for sweep in ordered), default=0)
    heights = [0.0] * len(ordered)
    layers = []
    for name, label in _names():
        values = [sweep.counts.get(name, 0) for sweep in ordered]
        if any(values):
            layers.append(Layer(name, label, _bars(values, top, heights), sum(values)))
    return Chart(tuple(layers), top)


def measured(sweeps: Sequence[SweepRecord], name: str, value: Callable[[SweepRecord], float]) -> Chart:
    """One number a sweep; `sweeps` newest first."""
    values = [value(sweep) for sweep in reversed(sweeps)]
    top = max(values, default=0)
    return Chart((Layer(name, name, _bars(values, top, [0.0] * len(values)), sum(values)),), top)


def _names() -> list[tuple[str, str]]:
    return [*((each.value, OUTCOME_WORDS[each].label) for each in Outcome), (_DELETED, "row deleted")]


def _bars(values: Sequence[float], top: float, heights: list[float]) -> str:
    """Bars on top of what `heights` says is there already; raises them. Nothing that is there is invisible."""
    parts = []
    for index, value in enumerate(values):
        if not value:
            continue
        height = max(value / top * HEIGHT, 1)
        heights[index] += height
        parts.append(f"M{index * _STEP} {HEIGHT - heights[index]:.4g}h{_BAR}v{height:.4g}h-{_BAR}z")
    return "".join(parts)
