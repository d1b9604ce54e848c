"""Say a sequence again, forwards or backwards: a decoder needs each symbol of it, and its place."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, assert_never

import numpy as np

from bothways.lab.tasks.base import Alphabet, Pairs, Stream, generator

__all__ = ["Copying", "Order"]

Order = Literal["copy", "reverse"]


@dataclasses.dataclass(frozen=True)
class Copying:
    """Random symbols, each as likely as any other, so that no place tells of another."""

    order: Order
    num_symbols: int = 8

    @property
    def alphabet(self) -> Alphabet:
        """Of sources: a, b, c, ..."""
        return Alphabet(tuple(chr(ord("a") + number) for number in range(self.num_symbols)))

    @property
    def answers(self) -> Alphabet:
        """Of targets: the same."""
        return self.alphabet

    def nearest_length(self, length: int) -> int:
        """Any from 1 on is possible."""
        return max(length, 1)

    def pairs(
        self, lengths: Sequence[int], *, seed: int, step: int, stream: Stream = "train"
    ) -> Pairs:
        """One pair of each of these lengths, in symbols."""
        chance = generator(seed, step, stream)
        drawn = chance.integers(self.num_symbols, size=sum(lengths))
        sources = np.split(drawn, np.cumsum(lengths)[:-1])
        return Pairs(sources, [self.solve(source) for source in sources])

    def solve(self, source: np.ndarray) -> np.ndarray:
        """The right answer to a source."""
        match self.order:
            case "copy":
                return source.copy()
            case "reverse":
                return source[::-1].copy()
            case unknown:
                assert_never(unknown)
