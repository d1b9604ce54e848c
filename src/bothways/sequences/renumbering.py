"""Tokenizers of the library whose numbers are not the ids of the encoder."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

__all__ = ["Renumbering"]


class Renumbering(NamedTuple):
    """What the numbers of a tokenizer stand for.

    The library needs a number for each symbol that byte-pair encoding can end with, also where a
    vocabulary has the same id for several of them, such as the unknown token's.

    first: numbers below it are ids; those of special tokens are.
    ids: the id of each number from `first` on, int64 (numbers,).
    names: the name of each number's token.
    """

    first: int
    ids: Int[np.ndarray, "numbers"]
    names: Mapping[int, str]

    def ids_of(self, numbers: Int[np.ndarray, "tokens"]) -> Int[np.ndarray, "tokens"]:
        """The id of each number."""
        found = numbers.copy()
        is_later = numbers >= self.first
        found[is_later] = self.ids[numbers[is_later] - self.first]
        return found

    def vocabulary(self) -> dict[str, int]:
        """The id of each token that has one of its own."""
        return {name: number for number, name in self.names.items() if number < self.first}
