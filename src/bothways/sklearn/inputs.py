"""Conversion of X, a table of numbers or a container of sequences, to a list of sequences.

n sequences; L positions; C channels.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from bothways.errors import InputError
from bothways.inference.containers import is_table, rows_of
from bothways.sequences.reader import type_name
from bothways.sequences.series import refuse_masked

__all__ = ["as_sequences", "refuse_masked_targets"]


def as_sequences(estimator: BaseEstimator, X: Any, *, reset: bool) -> list[Any]:
    """The n sequences in X, as a reader takes them.

    X: texts, or lists of symbols (a list, a 1D array, a column of a table); series (L, C) in a list
        or as an array (n, L, C); or a table of numbers (n, L), each row the series of one channel.
    reset: True in `fit`, which stores the width of a table; other methods require the same width.

    A table is validated by scikit-learn, and `n_features_in_` is its L. Other sequences are checked
    when they are read.

    Raises:
        ValueError: if X is a single text, a table of texts, or a table that scikit-learn refuses.
        InputError: naming the sequence that is not a text, if the first one is.
        TypeError: if a table does not hold numbers.
    """
    if isinstance(X, str | bytes):
        raise ValueError("X is a single text; put it in a list")  # noqa: TRY004
    X = _without_wrapper(X)
    if np.ma.isMaskedArray(X) or (isinstance(X, list | tuple) and any(map(np.ma.isMaskedArray, X))):
        for index, sequence in enumerate(X):
            # scikit-learn would drop the mask
            refuse_masked(_with_channels(sequence), index)
    if _is_table(X):
        _refuse_texts_in_a_table(X)
        table = validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32])
        return list(table[:, :, None])
    if reset and hasattr(estimator, "n_features_in_"):
        del estimator.n_features_in_
    sequences = [_with_channels(sequence) for sequence in X]
    if not sequences:
        raise ValueError("Found array with 0 sample(s), while a minimum of 1 is required.")
    if isinstance(sequences[0], str):
        for index, sequence in enumerate(sequences):
            if not isinstance(sequence, str):
                raise InputError(
                    f"got {type_name(sequence)}; expected a text, as the first is", sequence=index
                )
    return sequences


def _without_wrapper(X: Any) -> Any:
    """A list of the texts, or lists, in a column or a table of one column; anything else as is."""
    column = X
    if is_table(X):
        if len(X.columns) != 1:
            return X
        column = rows_of(X, None, pairs=False)
    elif not any(hasattr(X, method) for method in ("to_pylist", "to_list", "collect")):
        return X
    rows = rows_of(column, None, pairs=False)
    return rows if rows and isinstance(rows[0], str | list | np.ndarray) else X


def _is_table(X: Any) -> bool:
    """Whether scikit-learn should validate X: numbers (n, L), or an unknown type."""
    if isinstance(X, list | tuple):
        if not X or isinstance(X[0], str):
            return False
        if np.ndim(X[0]) != 1:  # series (L, C), or not a sequence
            return np.ndim(X[0]) == 0
        return not isinstance(X[0][0], str) and len({np.shape(row) for row in X}) == 1
    match getattr(X, "ndim", None):
        case 1:
            return np.asarray(X).dtype.kind in "biufc"
        case 3:
            return False
        case _:
            return True


def _refuse_texts_in_a_table(X: Any) -> None:
    """Refuse a table of texts, which scikit-learn would try to convert to numbers."""
    is_table = isinstance(X, np.ndarray) or hasattr(X, "columns")
    if is_table and any(isinstance(value, str) for value in np.asarray(X[:1]).flat):
        raise ValueError("X is a table of texts; pass one column of it, such as X['text']")


def _with_channels(sequence: Any) -> Any:
    """A series (L,) of one channel as (L, 1); anything else unchanged."""
    is_flat = isinstance(sequence, np.ndarray | list | tuple) and np.ndim(sequence) == 1
    array = np.asanyarray(sequence) if is_flat else None
    return array[:, None] if array is not None and array.dtype.kind in "fiu" else sequence


def refuse_masked_targets(y: Any) -> None:
    """Check that no target is masked: scikit-learn would use the value under the mask.

    Raises:
        ValueError: naming the first that is.
    """
    if np.ma.is_masked(y):
        index = int(np.ma.getmaskarray(y).nonzero()[0][0])
        raise ValueError(f"y[{index}] is masked; drop the row, or give it a value")
