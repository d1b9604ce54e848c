"""Stateless randomness: every random number is a function of the seed and its place in the run.

So a resumed run needs no generator state, a batch that is computed twice has the same dropout both
times, and several processes draw the same numbers as one.
"""

from typing import Literal

import numpy as np

__all__ = ["Purpose", "generator", "torch_seed"]

Purpose = Literal["order", "targets", "dropout", "validation"]

_STREAMS: dict[Purpose, int] = {"order": 1, "targets": 2, "dropout": 3, "validation": 4}
"""Independent random streams, by purpose. None is 0: that is the stream of the bare seed."""


def generator(seed: int, purpose: Purpose, *place: int) -> np.random.Generator:
    """The generator for a purpose at a place: an epoch, or a step and the index of its batch."""
    return np.random.default_rng([seed, _STREAMS[purpose], *place])


def torch_seed(seed: int, *place: int) -> int:
    """The seed for torch before the forward pass of a batch, which draws its dropout."""
    words = np.random.SeedSequence([seed, _STREAMS["dropout"], *place]).generate_state(2)
    return int(words[0]) << 31 | int(words[1]) >> 1  # torch accepts 63 bits
