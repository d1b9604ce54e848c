"""Copy or reverse a sequence: the decoder needs every symbol and its position."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, assert_never

import numpy as np

from bothways.lab.tasks.base import SequencePairs, Split, TaskAlphabet, task_rng

__all__ = ["CopyOrder", "CopyTask"]

CopyOrder = Literal["copy", "reverse"]


@dataclasses.dataclass(frozen=True)
class CopyTask:
    """Independent, uniformly drawn symbols: no position predicts another."""

    order: CopyOrder
    num_symbols: int = 8

    @property
    def source_alphabet(self) -> TaskAlphabet:
        """The letters a, b, c, ..."""
        return TaskAlphabet(tuple(chr(ord("a") + number) for number in range(self.num_symbols)))

    @property
    def target_alphabet(self) -> TaskAlphabet:
        """The same letters."""
        return self.source_alphabet

    def nearest_length(self, length: int) -> int:
        """Every length of at least 1 is possible."""
        return max(length, 1)

    def pairs(
        self, lengths: Sequence[int], *, seed: int, step: int, split: Split = "train"
    ) -> SequencePairs:
        """One pair for each source length, in symbols."""
        rng = task_rng(seed, step, split)
        symbols = rng.integers(self.num_symbols, size=sum(lengths))
        sources = np.split(symbols, np.cumsum(lengths)[:-1])
        return SequencePairs(sources, [self.solve(source) for source in sources])

    def solve(self, source: np.ndarray) -> np.ndarray:
        """The target of a source."""
        match self.order:
            case "copy":
                return source.copy()
            case "reverse":
                return source[::-1].copy()
            case unknown:
                assert_never(unknown)
