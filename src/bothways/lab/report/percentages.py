"""Shares of several seeds in words, as reports write them."""

from collections.abc import Sequence

import numpy as np

__all__ = ["typical", "typical_and_range"]


def typical(shares: Sequence[float]) -> str:
    """Their median.

    >>> typical([0.5, 0.25, 1.0])
    '50 %'
    """
    return f"{100 * float(np.median(shares)):.0f} %"


def typical_and_range(shares: Sequence[float]) -> str:
    """Their median, and the worst and the best of them.

    >>> typical_and_range([0.5, 0.25, 1.0])
    '50 % (25 to 100)'
    """
    return f"{typical(shares)} ({100 * min(shares):.0f} to {100 * max(shares):.0f})"
