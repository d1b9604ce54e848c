"""Curves with the range of several runs, and a fixed color and marker for each encoder."""

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

__all__ = [
    "ENCODER_STYLES",
    "AxisScale",
    "CurveStyle",
    "CurveWithRange",
    "assign_styles",
    "draw_curves",
]

AxisScale = Literal["linear", "log2", "log10"]

MAX_TICK_CHARACTERS = 24
"""In all tick labels of an axis together; if they have more, they are rotated."""


@dataclasses.dataclass(frozen=True)
class CurveStyle:
    """The look of a curve; markers and dashes distinguish curves where colors do not."""

    color: str
    marker: str
    dash: str = "-"


ENCODER_STYLES: Mapping[str, CurveStyle] = {
    "transformer": CurveStyle(BLUE, "o"),
    "transformer-window": CurveStyle(SKY, "o", "--"),
    "rnn": CurveStyle(VERMILION, "s"),
    "lstm": CurveStyle(ORANGE, "^"),
    "gru": CurveStyle(GREEN, "D"),
    "rnn-forward": CurveStyle(VERMILION, "s", ":"),
    "lstm-forward": CurveStyle(ORANGE, "^", ":"),
    "gru-forward": CurveStyle(GREEN, "D", ":"),
    "convolution": CurveStyle(PURPLE, "v"),
    "bag": CurveStyle(BLACK, "x"),
}
"""The style of each encoder in every figure."""

_CYCLE = tuple(
    CurveStyle(color, marker)
    for color, marker in zip(
        (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK), "os^Dvx+", strict=True
    )
)


def assign_styles(names: Sequence[str]) -> dict[str, CurveStyle]:
    """A style for each name that is not an encoder; the eighth reuses the first one, dashed."""
    return {
        name: dataclasses.replace(_CYCLE[i % len(_CYCLE)], dash="-" if i < len(_CYCLE) else "--")
        for i, name in enumerate(names)
    }


@dataclasses.dataclass(frozen=True)
class CurveWithRange:
    """A curve measured in several runs: `runs` has a row for each seed or repeat, (runs, n).

    Values that are NaN or infinite are not drawn. style: by default that of the encoder `name`.
    """

    name: str
    x: Sequence[float]
    runs: Sequence[Sequence[float]]
    style: CurveStyle | None = None

    @property
    def median(self) -> np.ndarray:
        """The median of the runs, (n,)."""
        return self._over_runs(np.median)

    @property
    def lowest(self) -> np.ndarray:
        """The lowest value of all runs, (n,)."""
        return self._over_runs(np.min)

    @property
    def highest(self) -> np.ndarray:
        """The highest value of all runs, (n,)."""
        return self._over_runs(np.max)

    def _over_runs(self, reduce: Callable[..., np.ndarray]) -> np.ndarray:
        return reduce(np.asarray(self.runs, float), axis=0)


def draw_curves(
    axes: "Axes",
    curves: Sequence[CurveWithRange],
    *,
    x_label: str,
    y_label: str,
    x_scale: AxisScale = "linear",
    y_scale: AxisScale = "linear",
    y_limits: tuple[float, float] | None = None,
    markers: bool = True,
) -> None:
    """Draw each median with a band from the lowest to the highest run, and the name at its end.

    x_label, y_label: with the unit. x_scale: on `log2`, the x values of the curves are the ticks.
    markers: False for curves with many points.
    """
    ends = []
    for curve in curves:
        style = curve.style or ENCODER_STYLES[curve.name]
        x, median = np.asarray(curve.x, float), curve.median
        axes.plot(
            x,
            median,
            style.dash,
            color=style.color,
            marker=style.marker if markers else None,
            markersize=4,
            linewidth=1.5,
        )
        if len(curve.runs) > 1:
            axes.fill_between(
                x, curve.lowest, curve.highest, color=style.color, alpha=0.15, linewidth=0
            )
        finite = np.flatnonzero(np.isfinite(median))
        if len(finite):
            last = finite[-1]
            ends.append(CurveEnd(float(x[last]), float(median[last]), curve.name, style.color))
    _set_scale(axes, "x", x_scale)
    _set_scale(axes, "y", y_scale)
    if x_scale == "log2":
        ticks = sorted({float(x) for curve in curves for x in curve.x})
        names = [f"{x:,.0f}" for x in ticks]
        axes.set_xticks(
            ticks, names, rotation=45 if sum(map(len, names)) > MAX_TICK_CHARACTERS else 0
        )
        axes.minorticks_off()
    if y_limits is not None:
        axes.set_ylim(y_limits)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    label_ends(axes, ends, size=9)


def _set_scale(axes: "Axes", which: Literal["x", "y"], scale: AxisScale) -> None:
    if scale == "linear":
        return
    set_scale = axes.set_xscale if which == "x" else axes.set_yscale
    set_scale("log", base=2 if scale == "log2" else 10)
    low, high = axes.get_ylim()
    if which == "y" and scale == "log10" and high < 500 * low:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        # Less than three decades: powers of ten alone would give too few ticks.
        axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
