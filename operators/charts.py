"""Charts of the last sweeps: SVG paths, made on the server. The stylesheet gives them their colours."""

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
        name: an outcome; in a chart of one number, the chart's name. The stylesheet knows it as a class.
        label: what the legend says.
        path: SVG path data, in units of WIDTH and HEIGHT.
        total: the sum of all bars.
    """

    name: str
    label: str
    path: str
    total: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, the oldest sweep on the left.

    Attributes:
        top: the value at the upper edge.
    """

    layers: tuple[Layer, ...]
    top: float


def outcomes(sweeps: Sequence[SweepRecord]) -> Chart:
    """People by outcome, stacked; an outcome that never occurred has no layer.

    Args:
        sweeps: newest first.
    """
    ordered = list(reversed(sweeps))
    top = max((sweep.people for sweep in ordered), default=0)
    heights = [0.0] * len(ordered)
    layers = []
    for name, label in [*((each.value, OUTCOME_WORDS[each].label) for each in Outcome), (_DELETED, "row deleted")]:
        values = [sweep.counts.get(name, 0) for sweep in ordered]
        if any(values):
            layers.append(Layer(name, label, _bars(values, top, heights), sum(values)))
    return Chart(tuple(layers), top)


def measured(sweeps: Sequence[SweepRecord], name: str, value: Callable[[SweepRecord], float]) -> Chart:
    """One number per sweep.

    Args:
        sweeps: newest first.
    """
    values = [value(sweep) for sweep in reversed(sweeps)]
    top = max(values, default=0)
    return Chart((Layer(name, name, _bars(values, top, [0.0] * len(values)), sum(values)),), top)


def _bars(values: Sequence[float], top: float, heights: list[float]) -> str:
    """The path of bars that stand on `heights`, and adds them to `heights`. A value above 0 is at least 1 unit high."""
    parts = []
    for index, value in enumerate(values):
        if not value:
            continue
        height = max(value / top * HEIGHT, 1)
        heights[index] += height
        parts.append(f"M{index * _STEP} {HEIGHT - heights[index]:.4g}h{_BAR}v{height:.4g}h-{_BAR}z")
    return "".join(parts)
