"""Identities of sequences: hashes that accompany their vectors, to detect equal sequences.

P sequences.
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
"""Bytes per column: float32 represents 24-bit integers exactly."""


def identify(sequences: Sequence[InputSequence]) -> np.ndarray:
    """Hash each sequence to two numbers, float32 (P, 2), which are equal for equal sequences.

    Among 10,000 different sequences, the probability that any two share their 48 bits is below one
    in a million.
    """
    return np.array([_digest(sequence) for sequence in sequences], dtype=np.float32)


def combine_columns(columns_P2: Tensor) -> Tensor:
    """Combine the two numbers into one, int64 (P,)."""
    high_P, low_P = torch.unbind(columns_P2.detach().to(torch.int64), 1)
    return torch.add(low_P, high_P, alpha=256**_BYTES)


def _digest(sequence: InputSequence) -> tuple[int, ...]:
    digest = hashlib.blake2b(sequence.values.tobytes(), digest_size=NUM_COLUMNS * _BYTES)
    if sequence.segments is not None and sequence.segments.any():
        digest.update(sequence.segments.tobytes())
    content = digest.digest()
    starts = range(0, len(content), _BYTES)
    return tuple(int.from_bytes(content[start : start + _BYTES]) for start in starts)
