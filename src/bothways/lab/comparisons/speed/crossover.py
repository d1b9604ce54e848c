"""Find the sequence lengths at which one encoder becomes slower than another."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = ["SpeedRelation", "relate_times"]

EQUAL_WITHIN = 0.05
"""Times that differ by less than this fraction count as equal, because timings vary that much."""

Relation = Literal["faster", "slower"]


class SpeedRelation(NamedTuple):
    """How the times of one encoder relate to those of another, by length.

    first: the relation at the shortest length with different times; None if all times are equal.
    crossovers: lengths at which the relation changes, interpolated between measured lengths.
    min_ratio, max_ratio: of the encoder's time to the other's.
    """

    first: Relation | None
    crossovers: tuple[float, ...]
    min_ratio: float
    max_ratio: float

    def __str__(self) -> str:
        """In words: `faster up to 1,200 tokens`."""
        if self.first is None:
            return "equal at every length"
        if not self.crossovers:
            return self._without_crossover(self.first)
        words = (self.first, "slower" if self.first == "faster" else "faster")
        parts = [f"{words[0]} up to {_two_digits(self.crossovers[0])} tokens"]
        ends = [*self.crossovers[1:], None]
        for number, (start, end) in enumerate(zip(self.crossovers, ends, strict=True)):
            to = "" if end is None else f" to {_two_digits(end)}"
            parts.append(f"{words[(number + 1) % 2]} from {_two_digits(start)}{to}")
        return parts[0] if len(parts) == 2 else ", ".join(parts)

    def _without_crossover(self, relation: Relation) -> str:
        if relation == "faster":
            factors = (1 / self.max_ratio, 1 / self.min_ratio)
        else:
            factors = (self.min_ratio, self.max_ratio)
        low, high = map(_two_digits, factors)
        if factors[0] < 1 + EQUAL_WITHIN:  # equal at some lengths
            opposite = "slower" if relation == "faster" else "faster"
            return f"never {opposite}, up to {high}× {relation}"
        return f"{low if low == high else f'{low} to {high}'}× {relation} at every length"


def relate_times(
    lengths: Sequence[int], times: Sequence[float], other_times: Sequence[float]
) -> SpeedRelation:
    """Compare times by length; crossovers are interpolated linearly between logarithms.

    >>> print(relate_times([16, 64, 256], [1, 4, 32], [2, 8, 16]))
    faster up to 130 tokens
    """
    ratios = [time / other for time, other in zip(times, other_times, strict=True)]
    different = [
        (math.log(length), math.log(ratio))
        for length, ratio in zip(lengths, ratios, strict=True)
        if abs(math.log(ratio)) > EQUAL_WITHIN
    ]
    crossovers = []
    for (x, y), (next_x, next_y) in itertools.pairwise(different):
        if (y < 0) != (next_y < 0):
            crossovers.append(math.exp(x + (next_x - x) * y / (y - next_y)))
    first: Relation | None = None
    if different:
        first = "faster" if different[0][1] < 0 else "slower"
    return SpeedRelation(first, tuple(crossovers), min(ratios), max(ratios))


def _two_digits(number: float) -> str:
    """The number rounded to two digits, which is all that the timings support."""
    digits = 1 - math.floor(math.log10(number))
    return f"{round(number, digits):,.{max(0, digits)}f}"
