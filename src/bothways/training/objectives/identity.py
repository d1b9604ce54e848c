"""Which sequences of a step are the same, told by numbers that travel with their vectors.

P pieces.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bothways.training.data.dataset import InputSequence

__all__ = ["NUM_COLUMNS", "combine_columns", "identify"]

NUM_COLUMNS = 2
_BYTES = 3
"""Of a column: float32 holds integers of 24 bits exactly."""


def identify(pieces: Sequence[InputSequence]) -> np.ndarray:
    """Two numbers for each piece, float32 (P, 2): alike for equal sequences, and else not.

    Two different sequences of 10,000 get the same 48 bits with a probability below one in a
    million.
    """
    return np.array([_digest(piece) for piece in pieces], dtype=np.float32)


def combine_columns(columns_P2: Tensor) -> Tensor:
    """The two numbers as one, int64 (P,)."""
    high_P, low_P = torch.unbind(columns_P2.detach().to(torch.int64), 1)
    return torch.add(low_P, high_P, alpha=256**_BYTES)


def _digest(piece: InputSequence) -> tuple[int, ...]:
    digest = hashlib.blake2b(piece.values.tobytes(), digest_size=NUM_COLUMNS * _BYTES)
    if piece.segments is not None and piece.segments.any():
        digest.update(piece.segments.tobytes())
    found = digest.digest()
    starts = range(0, len(found), _BYTES)
    return tuple(int.from_bytes(found[start : start + _BYTES]) for start in starts)
