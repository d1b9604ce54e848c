"""Associative recall: some positions hold a key and a value; the last position queries one key.

The queried pair is at a chosen distance from the query, and the number of other pairs in between is
drawn independently of it. So only the key identifies the pair: answering with the nearest value has
the same accuracy at every distance.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bothways.errors import InputError
from bothways.lab.tasks.base import Split, task_rng

__all__ = ["AssociativeRecallTask", "RecallExamples", "solve"]


@dataclasses.dataclass(frozen=True, eq=False)
class RecallExamples:
    """n sequences of L positions with C channels, and the queried value of each.

    vectors: float32 (n, L, C), 1 in the channels of a position's key and value, 0 elsewhere.
    answers: indices of values, int64 (n,).
    """

    vectors: np.ndarray
    answers: np.ndarray


@dataclasses.dataclass(frozen=True)
class AssociativeRecallTask:
    """Sequences of `length` positions, of which `num_pairs` hold a pair and the last is the query.

    The keys of a sequence are distinct; values may repeat. Empty positions are all zeros.
    """

    length: int = 66
    num_pairs: int = 2
    num_keys: int = 8
    num_values: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.num_pairs <= min(self.num_keys, self.length // 2):
            raise InputError(
                f"num_pairs={self.num_pairs}: expected at least 1, and at most the {self.num_keys} "
                f"keys and half of the {self.length} positions"
            )

    @property
    def num_channels(self) -> int:
        """One channel per key, then one per value."""
        return self.num_keys + self.num_values

    @property
    def min_distance(self) -> int:
        """The smallest distance that leaves room for all other pairs in between."""
        return self.num_pairs

    @property
    def max_distance(self) -> int:
        """The largest distance that leaves room for all other pairs beyond."""
        return self.length - self.num_pairs

    def sample(
        self, distances: Sequence[int], *, seed: int, step: int, split: Split = "train"
    ) -> RecallExamples:
        """One sequence per distance, in positions from the queried pair to the query.

        Raises:
            InputError: for a distance that is not from `min_distance` to `max_distance`.
        """
        low, high = self.min_distance, self.max_distance
        if not all(low <= distance <= high for distance in distances):
            raise InputError(f"distances: expected {low} to {high} positions")
        rng = task_rng(seed, step, split)
        n = len(distances)
        # The first pair of each sequence is the queried one.
        keys = np.argsort(rng.random((n, self.num_keys)), axis=1)[:, : self.num_pairs]
        values = rng.integers(self.num_values, size=(n, self.num_pairs))
        positions = np.array([self._positions(rng, distance) for distance in distances])
        vectors = np.zeros((n, self.length, self.num_channels), np.float32)
        row = np.arange(n)[:, None]
        vectors[row, positions, keys] = 1
        vectors[row, positions, self.num_keys + values] = 1
        vectors[row[:, 0], -1, keys[:, 0]] = 1
        return RecallExamples(vectors, values[:, 0])

    def _positions(self, rng: np.random.Generator, distance: int) -> np.ndarray:
        """The position of the queried pair, then those of the others."""
        queried = self.length - 1 - distance
        num_between = int(rng.integers(self.num_pairs))
        between = queried + 1 + rng.choice(distance - 1, num_between, replace=False)
        beyond = rng.choice(queried, self.num_pairs - 1 - num_between, replace=False)
        return np.concatenate([[queried], between, beyond])


def solve(task: AssociativeRecallTask, vectors_LC: np.ndarray) -> int:
    """Answer one sequence by looking up the queried key."""
    (key,) = np.flatnonzero(vectors_LC[-1])
    (position,) = np.flatnonzero(vectors_LC[:-1, key])
    (value,) = np.flatnonzero(vectors_LC[position, task.num_keys :])
    return int(value)
