"""Associative recall: some positions hold a key and its value, the last one asks for a key's value.

The pair that is asked for stands at a chosen distance, and how many of the others stand nearer is
drawn apart from it. So nothing but the key tells which is asked for: whoever always gives the value
that is nearest is as often wrong nearby as far away.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bothways.errors import InputError
from bothways.lab.tasks.base import Stream, generator

__all__ = ["Recall", "Recalled", "solve"]


@dataclasses.dataclass(frozen=True, eq=False)
class Recalled:
    """n sequences of L positions of C channels, and the value that each asks for.

    vectors: float32 (n, L, C): 1 in the channel of a position's key, and of its value. answers: the
    numbers of values, int64 (n,).
    """

    vectors: np.ndarray
    answers: np.ndarray


@dataclasses.dataclass(frozen=True)
class Recall:
    """Sequences of `length` positions, the asking one included, of which `num_pairs` hold a pair.

    The keys of a sequence differ; its values need not. A position that holds nothing is all zeros.
    """

    length: int = 66
    num_pairs: int = 2
    num_keys: int = 8
    num_values: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.num_pairs <= min(self.num_keys, self.length // 2):
            raise InputError(
                f"num_pairs={self.num_pairs}: expected at least 1, and no more than the "
                f"{self.num_keys} keys and half of the {self.length} positions"
            )

    @property
    def num_channels(self) -> int:
        """One for each key, then one for each value."""
        return self.num_keys + self.num_values

    @property
    def nearest(self) -> int:
        """The smallest distance: all other pairs have room between."""
        return self.num_pairs

    @property
    def farthest(self) -> int:
        """The largest distance: all other pairs have room beyond."""
        return self.length - self.num_pairs

    def sample(
        self, distances: Sequence[int], *, seed: int, step: int, stream: Stream = "train"
    ) -> Recalled:
        """A sequence for each distance: the pair that it asks for is so many positions before.

        Raises:
            InputError: for a distance that is not between `nearest` and `farthest`.
        """
        if not all(self.nearest <= distance <= self.farthest for distance in distances):
            raise InputError(f"distances: expected from {self.nearest} to {self.farthest}")
        chance = generator(seed, step, stream)
        n = len(distances)
        # Of each sequence, the first pair is the one that is asked for.
        keys = np.argsort(chance.random((n, self.num_keys)), axis=1)[:, : self.num_pairs]
        values = chance.integers(self.num_values, size=(n, self.num_pairs))
        places = np.array([self._places(chance, distance) for distance in distances])
        vectors = np.zeros((n, self.length, self.num_channels), np.float32)
        row = np.arange(n)[:, None]
        vectors[row, places, keys] = 1
        vectors[row, places, self.num_keys + values] = 1
        vectors[row[:, 0], -1, keys[:, 0]] = 1
        return Recalled(vectors, values[:, 0])

    def _places(self, chance: np.random.Generator, distance: int) -> np.ndarray:
        """Of the pair at that distance, and of the others around it."""
        asked = self.length - 1 - distance
        nearer = int(chance.integers(self.num_pairs))
        between = asked + 1 + chance.choice(distance - 1, nearer, replace=False)
        beyond = chance.choice(asked, self.num_pairs - 1 - nearer, replace=False)
        return np.concatenate([[asked], between, beyond])


def solve(task: Recall, vectors_LC: np.ndarray) -> int:
    """The answer to one sequence, by looking for the key."""
    (key,) = np.flatnonzero(vectors_LC[-1])
    (place,) = np.flatnonzero(vectors_LC[:-1, key])
    (value,) = np.flatnonzero(vectors_LC[place, task.num_keys :])
    return int(value)
