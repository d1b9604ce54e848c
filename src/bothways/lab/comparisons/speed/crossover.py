"""From which length on one encoder is slower than another."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = ["Race", "race"]

ALIKE = 0.05
"""Times that differ by less than this share are taken for equal: another day they may."""

Standing = Literal["faster", "slower"]


class Race(NamedTuple):
    """How one stands against another, from the shortest length to the longest.

    first: at the shortest at which they differ; None if they never do. crossings: the lengths at
    which that changes, between two that were measured. least, most: its times as shares of the
    other's.
    """

    first: Standing | None
    crossings: tuple[float, ...]
    least: float
    most: float

    def __str__(self) -> str:
        """In words, as of the first: `faster up to 1,200 tokens`."""
        if self.first is None:
            return "as fast at every length"
        if not self.crossings:
            return self._without_crossing(self.first)
        words = (self.first, "slower" if self.first == "faster" else "faster")
        parts = [f"{words[0]} up to {_told(self.crossings[0])} tokens"]
        for number, (start, end) in enumerate(
            zip(self.crossings, [*self.crossings[1:], None], strict=True)
        ):
            to = "" if end is None else f" to {_told(end)}"
            parts.append(f"{words[(number + 1) % 2]} from {_told(start)}{to}")
        return parts[0] if len(parts) == 2 else ", ".join(parts)

    def _without_crossing(self, standing: Standing) -> str:
        times = (1 / self.most, 1 / self.least) if standing == "faster" else self[2:]
        low, high = (_told(share) for share in times)
        if times[0] < 1 + ALIKE:  # at some lengths there is no telling
            return (
                f"never {'slower' if standing == 'faster' else 'faster'}, up to {high}× {standing}"
            )
        return f"{low if low == high else f'{low} to {high}'}× {standing} at every length"


def race(lengths: Sequence[int], ours: Sequence[float], theirs: Sequence[float]) -> Race:
    """Compare times by length; a crossing is found on the line through both neighbors' logarithms.

    >>> print(race([16, 64, 256], [1, 4, 32], [2, 8, 16]))
    faster up to 130 tokens
    """
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    apart = [
        (math.log(length), math.log(ratio))
        for length, ratio in zip(lengths, ratios, strict=True)
        if abs(math.log(ratio)) > ALIKE
    ]
    crossings = []
    for (x, y), (next_x, next_y) in itertools.pairwise(apart):
        if (y < 0) != (next_y < 0):
            crossings.append(math.exp(x + (next_x - x) * y / (y - next_y)))
    first: Standing | None = None if not apart else "faster" if apart[0][1] < 0 else "slower"
    return Race(first, tuple(crossings), min(ratios), max(ratios))


def _told(number: float) -> str:
    """To two digits: more are not known."""
    digits = 1 - math.floor(math.log10(number))
    return f"{round(number, digits):,.{max(0, digits)}f}"
