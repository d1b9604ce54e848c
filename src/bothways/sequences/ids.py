"""Sequences given as ids: taken as they are, special tokens included, once they are seen to fit."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.sequences.reader import Description, Tokenized, type_name

__all__ = ["are_ids", "read_ids"]

_EXPECTED = "expected a list of ids or an integer array (length,)"


def are_ids(sequence: Any) -> bool:
    """Whether a sequence was meant as ids: an array, or a list that does not hold strings.

    A list is judged by its first element, so that a list with an error further on is refused for
    that error, and not for being no text.
    """
    if isinstance(sequence, np.ndarray):
        return True
    return isinstance(sequence, list | tuple) and not (sequence and isinstance(sequence[0], str))


def read_ids(sequences: Sequence[Any] | np.ndarray, vocab_size: int) -> list[Tokenized]:
    """Each sequence, a list of ints or an integer array (L,), as int64.

    Raises:
        InputError: naming the sequence, and the position, the id and the limit where it is one id.
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
                    f"position {position} holds {type_name(value)}; {_EXPECTED}", sequence=index
                )
        try:
            ids = np.array(sequence, dtype=np.int64)
        except OverflowError:
            raise InputError("holds an id of more than 64 bits", sequence=index) from None
    if ids.dtype.kind not in "iu" or ids.ndim != 1:
        raise InputError(f"got {type_name(ids)}; {_EXPECTED}", sequence=index)
    if not ids.size:
        raise InputError("no ids; a sequence has at least one", sequence=index)
    return ids


def _describe(values: np.ndarray) -> Description:
    """No vocabulary need be at hand: each token is its id."""
    return Description([str(value) for value in values.tolist()], None)
