"""The examples of each step and its batches, as a function of the seed.

An epoch visits every example once, in random order, in steps of about equally many tokens.
`packing.plan_batches` splits a step into batches, which affects only the rounding of its gradient.
There is no state between steps: step 1,000 can be computed without the 999 before it.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from bothways.model.packing import plan_batches
from bothways.training.engine.rng import generator
from bothways.training.resolved_settings import steps_per_epoch

__all__ = ["StepSampler", "assign_batches"]


class StepSampler:
    """Samples the examples of each step of a run.

    lengths: tokens of each example, int64 (n,).
    batch_tokens: maximum mean number of tokens per step. A single step may exceed it by less than
        the length of its longest example.
    micro_tokens: maximum number of tokens computed at a time; a longer example gets a batch of its
        own.
    """

    def __init__(
        self, lengths: np.ndarray, *, batch_tokens: int, micro_tokens: int, seed: int
    ) -> None:
        self.lengths = lengths
        self.micro_tokens = micro_tokens
        self.seed = seed
        self.steps_per_epoch = steps_per_epoch(lengths, batch_tokens)
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    def epoch_of(self, step: int) -> int:
        """The epoch of a step, both counted from 0."""
        return step // self.steps_per_epoch

    def examples(self, step: int) -> np.ndarray:
        """The indices of a step's examples, int64, in the epoch's random order."""
        return self._epoch(self.epoch_of(step))[step % self.steps_per_epoch]

    def batches(self, step: int) -> list[np.ndarray]:
        """The indices of a step's examples, split into batches, the longest examples first."""
        examples = self.examples(step)
        lengths = self.lengths[examples]
        return [examples[batch] for batch in plan_batches(lengths, self.micro_tokens)]

    def _shuffle(self, epoch: int) -> list[np.ndarray]:
        order = generator(self.seed, "order", epoch).permutation(len(self.lengths))
        lengths = self.lengths[order]
        starts = np.cumsum(lengths) - lengths
        # An example belongs to the step in whose share of the tokens it starts (exact integers).
        step = starts * self.steps_per_epoch // int(lengths.sum())
        return np.split(order, np.searchsorted(step, np.arange(1, self.steps_per_epoch)))


def assign_batches(
    batches: Sequence[np.ndarray], rank: int, size: int
) -> list[tuple[int, np.ndarray]]:
    """The batches that process `rank` of `size` computes, each with its index in the step."""
    return list(enumerate(batches))[rank::size]
