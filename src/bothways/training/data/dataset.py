"""What a training run learns from: examples, ready for the encoder, with their targets and places.

T tokens of all sequences of a dataset end to end; C channels of a series.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Dataset", "Example", "InputSequence"]


class InputSequence(NamedTuple):
    """One sequence: ids (L,) or vectors (L, C), and segment ids (L,) or None. Fits the encoder.

    content: the positions that are no special tokens, which masking may choose.
    """

    values: np.ndarray
    segments: np.ndarray | None
    content: slice


class Example(NamedTuple):
    """What one row of data became.

    pieces: one sequence; for contrast an anchor, its positive, and any hard negatives.
    target: by objective. Classes: the label's index, int64 (). Several labels: float32 (labels,) of
        0 and 1. Values: float32 (values,). Tags: the label's index at each position, int64 (L,),
        `IGNORED` where there is none. Masked tokens, masked values and contrast: None.
    place: where it stands, for messages: `train.csv, row 3`.
    """

    pieces: tuple[InputSequence, ...]
    target: np.ndarray | None
    place: str

    @property
    def num_tokens(self) -> int:
        """Positions of all pieces together."""
        return sum(len(piece.values) for piece in self.pieces)


IGNORED = -100
"""The target of a position that has none: special tokens, and word pieces after a word's first."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Examples by index, and their lengths without making them.

    lengths: positions of each example, all its pieces together, int64 (n,).
    """

    examples: Sequence[Example]
    lengths: np.ndarray

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.lengths)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]
