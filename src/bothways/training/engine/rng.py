"""Chance without state: everything random in a run is a function of the seed and of where it is.

So a run that was cut goes on without the state of any generator, a batch that is computed twice
sees the same dropout twice, and several processes draw what one would.
"""

from typing import Literal

import numpy as np

__all__ = ["Purpose", "generator", "torch_seed"]

Purpose = Literal["order", "targets", "dropout", "validation"]

_STREAMS: dict[Purpose, int] = {"order": 1, "targets": 2, "dropout": 3, "validation": 4}
"""Of chance: what is drawn for one purpose says nothing of the others. None is 0, which would be
the stream of a generator seeded by the seed alone."""


def generator(seed: int, purpose: Purpose, *place: int) -> np.random.Generator:
    """The generator for a purpose at a place of the run: an epoch, or a step and a batch of it."""
    return np.random.default_rng([seed, _STREAMS[purpose], *place])


def torch_seed(seed: int, *place: int) -> int:
    """What to seed torch with before the forward pass of a batch, for dropout."""
    words = np.random.SeedSequence([seed, _STREAMS["dropout"], *place]).generate_state(2)
    return int(words[0]) << 31 | int(words[1]) >> 1  # 63 bits: torch takes no more
