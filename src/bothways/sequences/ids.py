"""Sequences of token ids, which are checked and used unchanged, without adding special tokens."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.sequences.reader import Description, Tokenized, type_name

__all__ = ["are_ids", "read_ids"]

_EXPECTED = "expected a list of ids or an integer array (length,)"


def are_ids(sequence: Any) -> bool:
    """Whether a sequence is meant as ids: an array, or a list that does not contain strings.

    Only the first element of a list is checked, so that an error in a later one is reported as
    such, and not as a missing text.
    """
    if isinstance(sequence, np.ndarray):
        return True
    return isinstance(sequence, list | tuple) and not (sequence and isinstance(sequence[0], str))


def read_ids(sequences: Sequence[Any] | np.ndarray, vocab_size: int) -> list[Tokenized]:
    """Convert each sequence, a list of ints or an integer array (L,), to int64.

    Raises:
        InputError: names the sequence and, if one id is wrong, the position, id and limit.
    """
    return [_read_one(sequence, vocab_size, index) for index, sequence in enumerate(sequences)]


def _read_one(sequence: Any, vocab_size: int, index: int) -> Tokenized:
    ids = _as_integers(sequence, index)
    outside = (ids < 0) | (ids >= vocab_size)
    if outside.any():
        position = int(outside.argmax())
        raise InputError(
            f"position {position}: id {ids[position]}; "
            f"expected at least 0 and below vocab_size={vocab_size}",
            sequence=index,
        )
    values = ids.astype(np.int64)
    return Tokenized(values, describe=partial(_describe, values))


def _as_integers(sequence: Any, index: int) -> np.ndarray:
    if isinstance(sequence, np.ndarray):
        if np.ma.isMaskedArray(sequence) and (mask := np.ma.getmaskarray(sequence)).any():
            position = int(mask.argmax())
            raise InputError(
                f"position {position} is masked; remove it: an id is needed at each position",
                sequence=index,
            )
        ids = np.asarray(sequence)
    else:
        for position, value in enumerate(sequence):
            if isinstance(value, bool | np.bool) or not isinstance(value, int | np.integer):
                raise InputError(
                    f"position {position} is {type_name(value)}; {_EXPECTED}", sequence=index
                )
        try:
            ids = np.array(sequence, dtype=np.int64)
        except OverflowError:
            raise InputError("contains an id of more than 64 bits", sequence=index) from None
    if ids.dtype.kind not in "iu" or ids.ndim != 1:
        raise InputError(f"got {type_name(ids)}; {_EXPECTED}", sequence=index)
    if not ids.size:
        raise InputError("no ids; expected at least one", sequence=index)
    return ids


def _describe(values: np.ndarray) -> Description:
    """Name each token by its id, as there may be no vocabulary."""
    return Description([str(value) for value in values.tolist()], None)
