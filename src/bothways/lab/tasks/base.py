"""What generated tasks share: alphabets, pairs of sequences, and random numbers by split."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import numpy as np

__all__ = ["Seq2SeqTask", "SequencePairs", "Split", "TaskAlphabet", "task_rng"]

Split = Literal["train", "validation", "test"]

_STREAMS: dict[Split, int] = {"train": 11, "validation": 12, "test": 13}
"""Part of the seed, so that the examples of the three splits are independent."""


def task_rng(seed: int, step: int, split: Split) -> np.random.Generator:
    """The random number generator of one sample; each combination of arguments has its own."""
    return np.random.default_rng([seed, _STREAMS[split], step])


@dataclasses.dataclass(frozen=True)
class TaskAlphabet:
    """The symbols of a task; the id of a symbol is its index."""

    symbols: tuple[str, ...]

    def __len__(self) -> int:
        """The number of symbols."""
        return len(self.symbols)

    def encode(self, symbols: Iterable[str]) -> np.ndarray:
        """The ids of symbols, int64."""
        index = {symbol: number for number, symbol in enumerate(self.symbols)}
        return np.array([index[symbol] for symbol in symbols], np.int64)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The symbols of ids."""
        return [self.symbols[number] for number in ids]


@dataclasses.dataclass(frozen=True, eq=False)
class SequencePairs:
    """Source sequences and the target of each: int64 arrays of ids in two alphabets."""

    sources: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]


class Seq2SeqTask(Protocol):
    """A sequence-to-sequence task whose source lengths can be chosen."""

    @property
    def source_alphabet(self) -> TaskAlphabet:
        """The symbols of sources."""

    @property
    def target_alphabet(self) -> TaskAlphabet:
        """The symbols of targets."""

    def nearest_length(self, length: int) -> int:
        """The possible source length closest to `length`, in symbols."""

    def pairs(
        self, lengths: Sequence[int], *, seed: int, step: int, split: Split = "train"
    ) -> SequencePairs:
        """One source of each of these lengths, in symbols, and its target."""
