"""What the machine could do at most, and how many operations a token needs.

The most that it could do comes from the native engine's probe: its multiply-add instruction of
fp32, and its dot product of int8, on registers alone, in as many threads as are measured.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bothways.model.config import EncoderConfig

__all__ = ["operations", "peaks"]

_TRIES = 5


def peaks(threads: int) -> dict[str, Any] | None:
    """Operations a second of all threads together, `fp32` and `int8`; None without the engine.

    A multiply-add counts as two. The best of some tries: what else runs can only make it less.
    """
    try:
        from bothways.native import _engine
    except ImportError:
        return None
    isa = os.environ.get("BOTHWAYS_ISA", "")
    with ThreadPoolExecutor(threads) as pool:
        tries = [list(pool.map(_engine.peaks, [isa] * threads)) for _ in range(_TRIES)]
    fp32, int8 = (max(sum(each[kind] for each in one) for one in tries) for kind in (0, 1))
    return {
        "fp32": fp32,
        "int8": int8,
        "how": "the native engine's probe: fp32 multiply-add and int8 dot product on registers",
        "tries": tries,
    }


def operations(config: EncoderConfig, lengths: np.ndarray) -> float:
    """Operations of the matrix products of an encoder without gates, padding not counted.

    A token meets every weight of a layer once: 4 D² of attention and 2 D F of feed-forward; and
    with L positions in its sequence, its scores and what it draws from them take 2 D L.
    """
    D, F = config.d_model, config.d_ff
    weights = config.num_layers * (4 * D * D + 2 * D * F)
    positions = config.num_layers * 2 * D
    lengths = lengths.astype(np.float64)
    return float(2 * (weights * lengths + positions * lengths**2).sum())
