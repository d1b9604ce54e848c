"""What a task gives: sequences of symbols, what is to be said of them, and whence chance is."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import numpy as np

__all__ = ["Alphabet", "Pairs", "Stream", "Transduction", "generator"]

Stream = Literal["train", "validation", "test"]

_STREAMS: dict[Stream, int] = {"train": 11, "validation": 12, "test": 13}
"""Of chance: the examples of one purpose say nothing of the others'."""


def generator(seed: int, step: int, stream: Stream) -> np.random.Generator:
    """Chance for one sample of a task: the same for the same arguments, and for no others."""
    return np.random.default_rng([seed, _STREAMS[stream], step])


@dataclasses.dataclass(frozen=True)
class Alphabet:
    """The symbols of a task's sequences; a symbol's id is its place."""

    symbols: tuple[str, ...]

    def __len__(self) -> int:
        """How many symbols there are."""
        return len(self.symbols)

    def ids(self, symbols: Iterable[str]) -> np.ndarray:
        """The ids of symbols, int64."""
        place = {symbol: number for number, symbol in enumerate(self.symbols)}
        return np.array([place[symbol] for symbol in symbols], np.int64)

    def spell(self, ids: Iterable[int]) -> list[str]:
        """The symbols of ids."""
        return [self.symbols[number] for number in ids]


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """Sources, and the target of each: arrays of ids, int64, in two alphabets."""

    sources: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]


class Transduction(Protocol):
    """A task of sequences that are said in another way, whose sources have chosen lengths."""

    @property
    def alphabet(self) -> Alphabet:
        """Of sources."""

    @property
    def answers(self) -> Alphabet:
        """Of targets."""

    def nearest_length(self, length: int) -> int:
        """The length that sources may have which is nearest to this one, in symbols."""

    def pairs(
        self, lengths: Sequence[int], *, seed: int, step: int, stream: Stream = "train"
    ) -> Pairs:
        """A source of each of these lengths, all of which are possible, and its target."""
