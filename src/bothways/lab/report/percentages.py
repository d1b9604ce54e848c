"""Percentages over several seeds, as reports write them."""

from collections.abc import Sequence

import numpy as np

__all__ = ["format_median", "format_median_and_range"]


def format_median(fractions: Sequence[float]) -> str:
    """The median as a percentage.

    >>> format_median([0.5, 0.25, 1.0])
    '50 %'
    """
    return f"{100 * float(np.median(fractions)):.0f} %"


def format_median_and_range(fractions: Sequence[float]) -> str:
    """The median as a percentage, then the lowest and the highest value.

    >>> format_median_and_range([0.5, 0.25, 1.0])
    '50 % (25 to 100)'
    """
    return f"{format_median(fractions)} ({100 * min(fractions):.0f} to {100 * max(fractions):.0f})"
