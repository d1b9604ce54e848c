"""Selection of layers and heads by index."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bothways.errors import InputError
from bothways.sequences.reader import type_name

__all__ = ["Selection", "select_indices"]

Selection = int | Sequence[int] | np.ndarray | Literal["all"]
"""One index, several, or all; an index counts from the end if it is negative."""


def select_indices(selection: Selection, count: int, noun: str) -> list[int]:
    """Indices from 0 of the selected layers or heads, of which there are `count`.

    noun: `layer` or `head`, for messages.

    Raises:
        InputError: naming the index that does not exist, or the value that is none.
    """
    if isinstance(selection, str) and selection == "all":
        return list(range(count))
    if isinstance(selection, int | np.integer):
        selection = [int(selection)]
    if isinstance(selection, str | bytes) or not hasattr(selection, "__iter__"):
        raise InputError(f"{noun}s={selection!r}: expected an index, a list of indices, or 'all'")
    return [_index(index, count, noun) for index in selection]


def _index(index: Any, count: int, noun: str) -> int:
    if not isinstance(index, int | np.integer) or isinstance(index, bool):
        raise InputError(f"{noun}s: got {type_name(index)}; expected indices, or 'all'")
    if not -count <= index < count:
        raise InputError(f"{noun} {index}: expected {-count} to {count - 1}")
    return int(index) % count
