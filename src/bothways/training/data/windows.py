"""Windows of long sequences in training: how their vectors become those of whole sequences.

T tokens of all windows of a batch end to end; B examples.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bothways.sequences import window_shares
from bothways.training.data.dataset import Example

__all__ = ["WindowMerge", "content_values", "merge_windows", "whole_values"]


@dataclasses.dataclass(frozen=True, eq=False)
class WindowMerge:
    """A weighted sum of the vectors of windows for each position of each whole sequence.

    index: the position that each token adds to, int64 (T,), in whole sequences end to end. shares:
    of the token in the vector of that position, float32 (T,). lengths: of the whole sequences,
    int64 (B,).
    """

    index: np.ndarray
    shares: np.ndarray
    lengths: np.ndarray


def merge_windows(examples: Sequence[Example]) -> WindowMerge | None:
    """How to merge the windows of examples, packed in order; None if all sequences are whole."""
    if all(example.length is None for example in examples):
        return None
    indices, shares, lengths, start = [], [], [], 0
    for example in examples:
        for positions, share in _windows(example):
            indices.append(start + positions)
            shares.append(share)
        length = example.length or len(example.sequences[0].values)
        lengths.append(length)
        start += length
    return WindowMerge(
        np.concatenate(indices), np.concatenate(shares).astype(np.float32), np.array(lengths)
    )


def whole_values(example: Example) -> np.ndarray:
    """The ids or values of an example's whole sequence, with its special tokens."""
    first = example.sequences[0].values
    if example.length is None:
        return first
    whole = np.empty((example.length, *first.shape[1:]), dtype=first.dtype)
    for (positions, _), window in zip(_windows(example), example.sequences, strict=True):
        whole[positions] = window.values
    return whole


def content_values(example: Example) -> np.ndarray:
    """The ids or values of an example's whole sequence, without its special tokens."""
    values, first = whole_values(example), example.sequences[0]
    suffix = len(first.values) - first.content.stop
    return values[first.content.start : len(values) - suffix]


def _windows(example: Example) -> list[tuple[np.ndarray, np.ndarray]]:
    """The positions of each window in the whole sequence, and the shares of its vectors."""
    first = example.sequences[0]
    size = len(first.values)
    if example.length is None:
        return [(np.arange(size), np.ones(size))]
    return window_shares(example.length, size, first.content.start, size - first.content.stop)
