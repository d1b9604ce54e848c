"""Boxes, arrows and labels on a page of inches: what the drawings of `draw_block.py` are made of.

x to the right, y upwards. Fills are tints of the colors of Okabe and Ito 2008, "Color universal
design", and every box says in words what its fill says.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path as Outline

__all__ = ["ATTENTION", "EMBEDDING", "FEED_FORWARD", "INK", "NORM", "PLAIN", "SOFT", "Box", "Page"]

Point = tuple[float, float]

INK, SOFT = "#222222", "#666666"
EMBEDDING, ATTENTION, FEED_FORWARD = "#F3DCE9", "#FBE3B6", "#CFE6F5"
NORM, PLAIN = "#CDEBE0", "#FFFFFF"

_LINE = 1.1
"""Points of a line."""

_HEAD = 0.09
"""Inches of an arrow's head."""

_ROUND = 0.09
"""Inches of the radius of a corner."""

_CELL = 0.14
"""Inches of the side of a number that is drawn as a shade."""

_HALF_LETTER = 0.36
"""Half of the height of a capital, as a share of the size of the font."""

_LINE_HEIGHT = 1.3
"""From line to line, likewise."""


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle by its middle; arrows end at its edges."""

    x: float
    y: float
    width: float
    height: float

    @property
    def top(self) -> Point:
        """The middle of the upper edge."""
        return self.x, self.y + self.height / 2

    @property
    def bottom(self) -> Point:
        """The middle of the lower edge."""
        return self.x, self.y - self.height / 2

    @property
    def left(self) -> Point:
        """The middle of the left edge."""
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> Point:
        """The middle of the right edge."""
        return self.x + self.width / 2, self.y


class Page:
    """A white page, `width` by `height` inches, to draw on."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure((width, height), facecolor="white")
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set(xlim=(0, width), ylim=(0, height))
        self._axes.axis("off")

    def box(
        self,
        x: float,
        y: float,
        text: str,
        fill: str,
        *,
        width: float = 2.0,
        height: float = 0.46,
        copies: int = 1,
    ) -> Box:
        """A box with words in it; `copies` that stand behind it stand for heads."""
        for behind in reversed(range(copies)):
            shift = 0.06 * behind
            self._rounded(x + shift, y + shift, width, height, fill, INK, zorder=2)
        self.text(x, y, text, size=10.5)
        return Box(x, y, width, height)

    def frame(self, box: Box) -> None:
        """A pale ground with a dashed edge, behind what is repeated."""
        self._rounded(box.x, box.y, box.width, box.height, "#F6F6F6", SOFT, zorder=0, dashed=True)

    def plus(self, x: float, y: float) -> Box:
        """The sign of a sum."""
        radius = 0.13
        self._axes.add_patch(
            Circle((x, y), radius, facecolor=PLAIN, edgecolor=INK, linewidth=_LINE, zorder=3)
        )
        for dx, dy in ((0.065, 0), (0, 0.065)):
            self._axes.plot([x - dx, x + dx], [y - dy, y + dy], color=INK, lw=_LINE, zorder=4)
        return Box(x, y, 2 * radius, 2 * radius)

    def wave(self, x: float, y: float) -> Box:
        """The sign of positions: a period of a sine in a circle."""
        radius = 0.18
        self._axes.add_patch(
            Circle((x, y), radius, facecolor=PLAIN, edgecolor=INK, linewidth=_LINE, zorder=3)
        )
        steps = [i / 40 for i in range(41)]
        xs = [x + 0.24 * (s - 0.5) for s in steps]
        ys = [y + 0.08 * math.sin(2 * math.pi * s) for s in steps]
        self._axes.plot(xs, ys, color=INK, lw=_LINE, zorder=4)
        return Box(x, y, 2 * radius, 2 * radius)

    def arrow(self, *points: Point, head: bool = True, dashed: bool = False) -> None:
        """A line through the points, its corners rounded, with a head at the last."""
        points = tuple(p for i, p in enumerate(points) if i == 0 or p != points[i - 1])
        (x0, y0), (x1, y1) = points[-2:]
        length = math.hypot(x1 - x0, y1 - y0)
        along = ((x1 - x0) / length, (y1 - y0) / length)
        if head:
            base = (x1 - _HEAD * along[0], y1 - _HEAD * along[1])
            side = (-along[1] * _HEAD * 0.45, along[0] * _HEAD * 0.45)
            corners = [
                (x1, y1),
                (base[0] + side[0], base[1] + side[1]),
                (base[0] - side[0], base[1] - side[1]),
            ]
            self._axes.add_patch(Polygon(corners, facecolor=INK, edgecolor="none", zorder=5))
            points = (*points[:-1], base)
        self._axes.add_patch(
            PathPatch(
                _rounded_line(points),
                facecolor="none",
                edgecolor=INK,
                linewidth=_LINE,
                linestyle=(0, (3, 2)) if dashed else "-",
                zorder=1,
            )
        )

    def leader(self, start: Point, end: Point) -> None:
        """A faint dotted line, from a part to what is written of it."""
        self._axes.plot(*zip(start, end, strict=True), color="#AAAAAA", lw=0.9, ls=":", zorder=1)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 9.0,
        color: str = INK,
        align: str = "center",
        code: bool = False,
        bold: bool = False,
    ) -> None:
        """Words at a place, `align` to the left or right of it or centered."""
        lines = text.split("\n")
        for number, line in enumerate(lines):
            above = (len(lines) - 1) / 2 - number
            self._axes.text(
                x,
                y + (above * _LINE_HEIGHT - _HALF_LETTER) * size / 72,
                line,
                fontsize=size,
                color=color,
                ha=align,
                va="baseline",
                family="monospace" if code else "sans-serif",
                weight="bold" if bold else "normal",
                zorder=6,
            )

    def vector(self, x: float, y: float, shades: Sequence[float]) -> Box:
        """The numbers of a vector, one above the other, as shades from 0 to 1."""
        return self.grid(x, y, [[shade] for shade in shades])

    def grid(self, x: float, y: float, shades: Sequence[Sequence[float]]) -> Box:
        """The numbers of a matrix, rows downwards, as shades from 0 to 1."""
        width, height = _CELL * len(shades[0]), _CELL * len(shades)
        left, top = x - width / 2, y + height / 2
        for i, row in enumerate(shades):
            for j, shade in enumerate(row):
                corner = (left + j * _CELL, top - (i + 1) * _CELL)
                # From white to the blue of the attention maps.
                fill = tuple(1 - shade * (1 - c) for c in (0.03, 0.32, 0.61))
                self._axes.add_patch(
                    Rectangle(corner, _CELL, _CELL, facecolor=fill, edgecolor=INK, lw=0.6, zorder=3)
                )
        return Box(x, y, width, height)

    def save(self, path: Path) -> None:
        """Write the page, as what the suffix of `path` says; SVG is the same each time."""
        with rc_context({"svg.hashsalt": path.stem}):
            metadata = {"Date": None} if path.suffix == ".svg" else None
            self.figure.savefig(path, dpi=150, metadata=metadata)

    def _rounded(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        edge: str,
        *,
        zorder: int,
        dashed: bool = False,
    ) -> None:
        corner = (x - width / 2 + _ROUND, y - height / 2 + _ROUND)
        self._axes.add_patch(
            FancyBboxPatch(
                corner,
                width - 2 * _ROUND,
                height - 2 * _ROUND,
                boxstyle=f"round,pad={_ROUND},rounding_size={_ROUND}",
                facecolor=fill,
                edgecolor=edge,
                linewidth=_LINE,
                linestyle=(0, (4, 3)) if dashed else "-",
                zorder=zorder,
            )
        )


def _rounded_line(points: Sequence[Point]) -> Outline:
    """Straight from point to point, but round each corner."""
    vertices, codes = [points[0]], [Outline.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        vertices += [_towards(corner, before), corner, _towards(corner, after)]
        codes += [Outline.LINETO, Outline.CURVE3, Outline.CURVE3]
    return Outline([*vertices, points[-1]], [*codes, Outline.LINETO])


def _towards(corner: Point, other: Point) -> Point:
    """The point where the rounding of a corner begins."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    share = min(_ROUND / math.hypot(dx, dy), 0.5)
    return corner[0] + share * dx, corner[1] + share * dy
