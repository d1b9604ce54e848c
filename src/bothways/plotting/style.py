"""How figures look, for the report of a training and for those of the lab: one style, one place.

Figures are matplotlib's objects, drawn without its global state. Colors are those of Okabe and Ito
2008, "Color universal design", which color-blind readers tell apart; curves are named at their
ends, not in a legend.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bothways.errors import MissingExtra

if TYPE_CHECKING:  # matplotlib takes its time, and is there only where figures are wanted
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
    "drawable",
    "label_ends",
    "new_figure",
    "plain_axes",
    "require_matplotlib",
    "save",
]

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
GRAY, FAINT = "#555555", "#CCCCCC"

MAX_LABEL = 24
"""Characters of a label; longer ones are cut."""

_LINE_POINTS = 11.0
"""How far apart labels are at least, from middle to middle: a line of their text."""


class CurveEnd(NamedTuple):
    """Where a curve ends, in the units of its axes, and what is written there."""

    x: float
    y: float
    label: str
    color: str


def can_draw() -> bool:
    """Whether matplotlib is installed; without it, drawing raises `MissingExtra`."""
    return find_spec("matplotlib") is not None


def require_matplotlib() -> None:
    """Raise `MissingExtra` where matplotlib is not installed."""
    if not can_draw():
        raise MissingExtra("plots", "drawing figures")


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def plain_axes(axes: "Axes") -> "Axes":
    """The axes with a faint grid, and without a frame."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#EEEEEE")
    axes.set_axisbelow(True)
    return axes


def save(figure: "Figure", path: Path) -> None:
    """Write the figure as a PNG file."""
    figure.savefig(path, dpi=150)


def drawable(labels: Sequence[str]) -> list[str]:
    """Labels, cut if long; the number of one that has characters which the font has not."""
    require_matplotlib()
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties())).get_charmap()
    cut = [label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 1] + "…" for label in labels]
    return [
        label if label and all(ord(c) in known for c in label) else f"#{number}"
        for number, label in enumerate(cut)
    ]


def label_ends(axes: "Axes", ends: Sequence[CurveEnd], *, size: float = 10) -> None:
    """Write each curve's name beside its end, moved up or down where two would overlap.

    The limits of the axes must have been set: labels are placed by them. `size` is the font's, in
    points.
    """
    if not ends:
        return
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # lays the axes out
    box = axes.get_window_extent()
    points = 72 / axes.figure.dpi
    places = sorted(
        ((axes.transData.transform((end.x, end.y)), end) for end in ends),
        key=lambda place: float(place[0][1]),
    )
    # What ends above or below the axes is named at their edge.
    heights = [float(np.clip(place[1], box.y0, box.y1)) * points for place, _ in places]
    names = drawable([end.label for _, end in places])
    gap = _LINE_POINTS * size / 10
    placed = spread(heights, gap)
    # Beside the axes, as far as there is room: below are the numbers of the other axis.
    placed = [max(at, box.y0 * points + (i + 0.5) * gap) for i, at in enumerate(placed)]
    for (place, end), name, at, moved in zip(places, names, heights, placed, strict=True):
        line = {
            "arrowstyle": "-",
            "color": end.color,
            "linewidth": 0.6,
            "shrinkA": 0,
            "relpos": (0, 0.5),  # from where the name begins, not from its middle
        }
        axes.annotate(
            name,
            tuple(axes.transData.inverted().transform((place[0], at / points))),
            (10, moved - at),  # in points
            textcoords="offset points",
            color=end.color,
            fontsize=size,
            va="center",
            annotation_clip=False,
            parse_math=False,
            arrowprops=line if abs(moved - at) > _LINE_POINTS / 3 else None,
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """The rising places, moved as little as can be (in squares) until each is `gap` from the next.

    Less `gap` for each that comes before, they need only not fall: that is isotonic regression, by
    pooling adjacent violators (Barlow et al. 1972, section 1.2).

    >>> spread([0.0, 10.0, 10.0], 4.0)
    [0.0, 8.0, 12.0]
    """
    pools: list[tuple[float, int]] = []  # the mean of each, and how many it holds
    for number, place in enumerate(places):
        mean, count = place - number * gap, 1
        while pools and pools[-1][0] > mean:
            before, held = pools.pop()
            mean, count = (before * held + mean * count) / (held + count), held + count
        pools.append((mean, count))
    level = [mean for mean, count in pools for _ in range(count)]
    return [mean + number * gap for number, mean in enumerate(level)]
