"""Associative recall: some positions hold a key and its value, the last one asks for a key's value.

What is far is no harder to find than what is near, but for the distance: each sequence holds the
same number of pairs, all else is empty, and the pair that is asked for is at a chosen distance.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bothways.errors import InputError
from bothways.lab.tasks.examples import Stream, generator

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

    length: int = 65
    num_pairs: int = 4
    num_keys: int = 8
    num_values: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.num_pairs <= min(self.num_keys, self.length - 1):
            raise InputError(
                f"num_pairs={self.num_pairs}: expected at least 1, and no more than the "
                f"{self.num_keys} keys and the {self.length - 1} positions before the last"
            )

    @property
    def num_channels(self) -> int:
        """One for each key, then one for each value."""
        return self.num_keys + self.num_values

    def sample(
        self, distances: Sequence[int], *, seed: int, step: int, stream: Stream = "train"
    ) -> Recalled:
        """A sequence for each distance: the pair that it asks for is so many positions before.

        Raises:
            InputError: for a distance of no position before the last.
        """
        if not all(1 <= distance < self.length for distance in distances):
            raise InputError(f"distances: expected from 1 to {self.length - 1}")
        chance = generator(seed, step, stream)
        n = len(distances)
        # Of each sequence, the first pair is the one that is asked for.
        keys = _draw_distinct(chance, n, self.num_keys, self.num_pairs)
        values = chance.integers(self.num_values, size=(n, self.num_pairs))
        asked = self.length - 1 - np.asarray(distances, np.int64)[:, None]
        others = _draw_distinct(chance, n, self.length - 2, self.num_pairs - 1)
        places = np.concatenate([asked, others + (others >= asked)], axis=1)  # never there twice
        vectors = np.zeros((n, self.length, self.num_channels), np.float32)
        row = np.arange(n)[:, None]
        vectors[row, places, keys] = 1
        vectors[row, places, self.num_keys + values] = 1
        vectors[row[:, 0], -1, keys[:, 0]] = 1
        return Recalled(vectors, values[:, 0])


def solve(task: Recall, vectors_LC: np.ndarray) -> int:
    """The answer to one sequence, by looking for the key."""
    (key,) = np.flatnonzero(vectors_LC[-1])
    (place,) = np.flatnonzero(vectors_LC[:-1, key])
    (value,) = np.flatnonzero(vectors_LC[place, task.num_keys :])
    return int(value)


def _draw_distinct(chance: np.random.Generator, n: int, below: int, count: int) -> np.ndarray:
    """n rows of different numbers, each equally likely, int64 (n, count)."""
    order: np.ndarray = np.argsort(chance.random((n, below)), axis=1)
    return order[:, :count]
