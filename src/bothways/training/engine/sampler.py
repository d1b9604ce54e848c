"""Which examples make which step, and the batches that a step is computed in: from a seed alone.

An epoch takes every example once, shuffled, in steps of about equally many tokens. A step is cut
into batches by `packing.plan_batches`; how it is cut changes no more than the rounding of its
gradient. Nothing is kept between steps: step 1,000 is found without the 999 before it.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from bothways.model.packing import plan_batches
from bothways.training.engine.rng import generator
from bothways.training.resolved_settings import steps_per_epoch

__all__ = ["StepSampler", "assign_batches"]


class StepSampler:
    """The steps of a run over examples of these lengths.

    lengths: positions of each example, int64 (n,).
    batch_tokens: the most tokens that the steps of an epoch have on average. A single step may have
        more, by less than its longest example.
    micro_tokens: the most tokens computed at a time; a longer example is computed by itself.
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
        """The epoch, from 0, that a step, from 0, belongs to."""
        return step // self.steps_per_epoch

    def examples(self, step: int) -> np.ndarray:
        """Indices of the examples of a step, int64, in the order of the shuffled epoch."""
        return self._epoch(self.epoch_of(step))[step % self.steps_per_epoch]

    def batches(self, step: int) -> list[np.ndarray]:
        """The examples of a step as the batches that are computed at a time, longest first."""
        examples = self.examples(step)
        lengths = self.lengths[examples]
        return [examples[batch] for batch in plan_batches(lengths, self.micro_tokens)]

    def _shuffle(self, epoch: int) -> list[np.ndarray]:
        order = generator(self.seed, "order", epoch).permutation(len(self.lengths))
        lengths = self.lengths[order]
        starts = np.cumsum(lengths) - lengths
        # An example belongs to the step in whose share of the tokens it starts: exact in integers.
        step = starts * self.steps_per_epoch // int(lengths.sum())
        return np.split(order, np.searchsorted(step, np.arange(1, self.steps_per_epoch)))


def assign_batches(
    batches: Sequence[np.ndarray], rank: int, size: int
) -> list[tuple[int, np.ndarray]]:
    """The batches that process `rank` of `size` computes, each with its number in the step."""
    return list(enumerate(batches))[rank::size]
