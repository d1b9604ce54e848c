"""Colors, axes and labels of all figures.

Figures are drawn without matplotlib's global state. The colors are those of Okabe and Ito 2008,
"Color universal design", which color-blind readers can distinguish. Curves are labeled at their
ends, not in a legend.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bothways.errors import MissingExtra

if TYPE_CHECKING:  # matplotlib is slow to import and may be missing
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLACK",
    "BLUE",
    "FAINT",
    "GRAY",
    "GREEN",
    "MAX_LABEL",
    "ORANGE",
    "PURPLE",
    "SKY",
    "VERMILION",
    "CurveEnd",
    "can_draw",
    "label_ends",
    "new_figure",
    "printable_labels",
    "require_matplotlib",
    "save_png",
    "style_axes",
]

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
GRAY, FAINT = "#555555", "#CCCCCC"

MAX_LABEL = 24
"""Maximum number of characters of a label; longer ones are truncated."""

_LINE_POINTS = 11.0
"""Minimum distance between the centers of two labels at font size 10, in points: one line."""


class CurveEnd(NamedTuple):
    """The last point of a curve, in data coordinates, and its label."""

    x: float
    y: float
    label: str
    color: str


def can_draw() -> bool:
    """Whether matplotlib is installed; without it, drawing raises `MissingExtra`."""
    return find_spec("matplotlib") is not None


def require_matplotlib() -> None:
    """Raise `MissingExtra` if matplotlib is not installed."""
    if not can_draw():
        raise MissingExtra("plots", "drawing figures")


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure; width and height in inches."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def style_axes(axes: "Axes") -> "Axes":
    """Give the axes a faint grid and remove the frame; returns the axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#EEEEEE")
    axes.set_axisbelow(True)
    return axes


def save_png(figure: "Figure", path: Path) -> None:
    """Write the figure as a PNG file."""
    figure.savefig(path, dpi=150)


def printable_labels(labels: Sequence[str]) -> list[str]:
    """Truncate long labels; replace labels that the font cannot show by their number, `#3`."""
    require_matplotlib()
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties())).get_charmap()
    short = [label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 1] + "…" for label in labels]
    return [
        label if label and all(ord(c) in known for c in label) else f"#{number}"
        for number, label in enumerate(short)
    ]


def label_ends(axes: "Axes", ends: Sequence[CurveEnd], *, size: float = 10) -> None:
    """Write each curve's label beside its end, moved up or down where labels would overlap.

    Set the limits of the axes first: the positions of labels depend on them. size: of the font, in
    points.
    """
    if not ends:
        return
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # computes the layout
    box = axes.get_window_extent()
    points = 72 / axes.figure.dpi
    pixels = sorted(
        ((axes.transData.transform((end.x, end.y)), end) for end in ends),
        key=lambda pair: float(pair[0][1]),
    )
    # Curves that end above or below the axes are labeled at the edge.
    heights = [float(np.clip(pixel[1], box.y0, box.y1)) * points for pixel, _ in pixels]
    labels = printable_labels([end.label for _, end in pixels])
    gap = _LINE_POINTS * size / 10
    # Labels stay above the tick labels of the x axis.
    lowest = box.y0 * points
    label_heights = [
        max(y, lowest + (i + 0.5) * gap) for i, y in enumerate(spread_labels(heights, gap))
    ]
    for (pixel, end), label, y, label_y in zip(pixels, labels, heights, label_heights, strict=True):
        line = {
            "arrowstyle": "-",
            "color": end.color,
            "linewidth": 0.6,
            "shrinkA": 0,
            "relpos": (0, 0.5),  # from the left end of the label, not from its center
        }
        axes.annotate(
            label,
            tuple(axes.transData.inverted().transform((pixel[0], y / points))),
            (10, label_y - y),  # in points
            textcoords="offset points",
            color=end.color,
            fontsize=size,
            va="center",
            annotation_clip=False,
            parse_math=False,
            arrowprops=line if abs(label_y - y) > _LINE_POINTS / 3 else None,
        )


def spread_labels(positions: Sequence[float], gap: float) -> list[float]:
    """Move ascending positions as little as possible (least squares) until all are `gap` apart.

    After subtracting `gap` times its index from each position, the result only has to be
    nondecreasing: isotonic regression, by pooling adjacent violators (Barlow et al. 1972, section
    1.2).

    >>> spread_labels([0.0, 10.0, 10.0], 4.0)
    [0.0, 8.0, 12.0]
    """
    pools: list[tuple[float, int]] = []  # the mean and the size of each
    for index, position in enumerate(positions):
        mean, count = position - index * gap, 1
        while pools and pools[-1][0] > mean:
            previous_mean, previous_count = pools.pop()
            total = previous_count + count
            mean, count = (previous_mean * previous_count + mean * count) / total, total
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    return [mean + index * gap for index, mean in enumerate(means)]
