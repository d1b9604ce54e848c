"""Datasets of examples: sequences that fit the encoder, their targets and their places.

T tokens of all sequences of a dataset end to end; C channels of a series.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Dataset", "Example", "InputSequence"]


class InputSequence(NamedTuple):
    """One sequence that fits the encoder.

    values: ids (L,) or vectors (L, C). segments: segment ids (L,) or None. content: the positions
    without special tokens, which masking may select.
    """

    values: np.ndarray
    segments: np.ndarray | None
    content: slice


class Example(NamedTuple):
    """One training example.

    sequences: one sequence; for contrast an anchor, its positive, and any hard negatives.
    target: depends on the objective. Classes: the label's index, int64 (). Several labels: float32
        (labels,) of 0 and 1. Values: float32 (values,). Tags: the label's index at each position,
        int64 (L,), or `IGNORED`. Masked tokens, masked values and contrast: None.
    place: the row that it comes from, for messages: `train.csv, row 3`.
    length: positions of the whole sequence, if `sequences` are its windows, whose vectors are
        merged before pooling; None if the sequences are whole.
    """

    sequences: tuple[InputSequence, ...]
    target: np.ndarray | None
    place: str
    length: int | None = None

    @property
    def num_tokens(self) -> int:
        """Number of tokens of all its sequences."""
        return sum(len(sequence.values) for sequence in self.sequences)


IGNORED = -100
"""The target of positions without one: special tokens, and the later tokens of a word."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Examples by index, and their lengths, known without creating the examples.

    lengths: tokens of each example, over all its sequences, int64 (n,).
    """

    examples: Sequence[Example]
    lengths: np.ndarray

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.lengths)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]
