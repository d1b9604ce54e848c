"""What the lab's figures share: a color and a mark for each encoder, and curves with their spread.

The style is that of `training.drawing`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from bothways.plotting.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    CurveEnd,
    label_ends,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["STYLES", "Line", "Scale", "Style", "draw_lines", "numbered_styles"]

Scale = Literal["linear", "log2", "log10"]

MAX_TICKS = 24
"""Characters of the names of all ticks of an axis; if they are more, names are turned."""


@dataclasses.dataclass(frozen=True)
class Style:
    """How a curve looks; marks and dashes tell curves apart where colors do not."""

    color: str
    mark: str
    dash: str = "-"


STYLES: Mapping[str, Style] = {
    "transformer": Style(BLUE, "o"),
    "transformer-window": Style(SKY, "o", "--"),
    "rnn": Style(VERMILION, "s"),
    "lstm": Style(ORANGE, "^"),
    "gru": Style(GREEN, "D"),
    "rnn-forward": Style(VERMILION, "s", ":"),
    "lstm-forward": Style(ORANGE, "^", ":"),
    "gru-forward": Style(GREEN, "D", ":"),
    "convolution": Style(PURPLE, "v"),
    "bag": Style(BLACK, "x"),
}
"""Of each encoder, in every figure of the lab."""

_CYCLE = tuple(
    Style(color, mark)
    for color, mark in zip(
        (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK), "os^Dvx+", strict=True
    )
)


def numbered_styles(names: Sequence[str]) -> dict[str, Style]:
    """A style for each name, of those that are no encoders; from the eighth on again, dashed."""
    return {
        name: dataclasses.replace(_CYCLE[i % len(_CYCLE)], dash="-" if i < len(_CYCLE) else "--")
        for i, name in enumerate(names)
    }


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve by x, measured several times: `runs` has a row for each seed or repeat, (runs, n).

    What is not finite is left out. style: by default that of the encoder called `name`.
    """

    name: str
    x: Sequence[float]
    runs: Sequence[Sequence[float]]
    style: Style | None = None

    @property
    def middle(self) -> np.ndarray:
        """The median of the runs, (n,)."""
        return self._over_runs(np.median)

    @property
    def lowest(self) -> np.ndarray:
        """The lowest of the runs, (n,)."""
        return self._over_runs(np.min)

    @property
    def highest(self) -> np.ndarray:
        """The highest of the runs, (n,)."""
        return self._over_runs(np.max)

    def _over_runs(self, figure: Callable[..., np.ndarray]) -> np.ndarray:
        return figure(np.asarray(self.runs, float), axis=0)


def draw_lines(
    axes: "Axes",
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    x_scale: Scale = "linear",
    y_scale: Scale = "linear",
    y_limits: tuple[float, float] | None = None,
    marks: bool = True,
) -> None:
    """Each line's median, a band from its lowest to its highest run, and its name at its end.

    Labels say the unit. On a scale of powers of two, the x of the lines are the ticks. Without
    `marks`, for lines of many points.
    """
    ends = []
    for line in lines:
        style = line.style or STYLES[line.name]
        x, middle = np.asarray(line.x, float), line.middle
        axes.plot(
            x,
            middle,
            style.dash,
            color=style.color,
            marker=style.mark if marks else None,
            markersize=4,
            linewidth=1.5,
        )
        if len(line.runs) > 1:
            axes.fill_between(
                x, line.lowest, line.highest, color=style.color, alpha=0.15, linewidth=0
            )
        there = np.flatnonzero(np.isfinite(middle))
        if len(there):
            last = there[-1]
            ends.append(CurveEnd(float(x[last]), float(middle[last]), line.name, style.color))
    _set_scale(axes, "x", x_scale)
    _set_scale(axes, "y", y_scale)
    if x_scale == "log2":
        ticks = sorted({float(x) for line in lines for x in line.x})
        names = [f"{x:,.0f}" for x in ticks]
        axes.set_xticks(ticks, names, rotation=45 if sum(map(len, names)) > MAX_TICKS else 0)
        axes.minorticks_off()
    if y_limits is not None:
        axes.set_ylim(y_limits)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    label_ends(axes, ends, size=9)


def _set_scale(axes: "Axes", which: Literal["x", "y"], scale: Scale) -> None:
    if scale == "linear":
        return
    set_scale = axes.set_xscale if which == "x" else axes.set_yscale
    set_scale("log", base=2 if scale == "log2" else 10)
    low, high = axes.get_ylim()
    if which == "y" and scale == "log10" and high < 500 * low:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        # Powers of ten alone would be few.
        axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
