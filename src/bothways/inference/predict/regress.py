"""Regression: the numbers that a head for values gives for sequences and pairs of texts."""

from typing import Any, NamedTuple

import numpy as np

from bothways.inference.inputs import as_inputs, lists_as_pairs
from bothways.inference.options import RunOptions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.session import Session

__all__ = ["Values", "predict", "predict_values"]


class Values(NamedTuple):
    """The values of n sequences.

    values: float32 (n, k), k values for each. truncated: whether each sequence was cut, bool (n,).
    """

    values: np.ndarray
    truncated: np.ndarray


def predict(session: Session, sequences: Any, *, options: RunOptions) -> np.ndarray:
    """The values of each sequence, float32 (n, k), without the axis of k = 1; of one, the row.

    Raises:
        InputError: naming the sequence that is invalid, or if the model has no head for values.
    """
    rows, single = as_inputs(sequences, session.reader, pairs=True)
    values, _ = predict_values(session, rows, options=options)
    if values.shape[1] == 1:
        values = values[:, 0]
    return np.asarray(values[0]) if single else values


def predict_values(session: Session, rows: list[Any], *, options: RunOptions) -> Values:
    """The values of several sequences, and whether each was cut.

    Raises:
        InputError: as `predict`.
    """
    rows = lists_as_pairs(rows, session.reader)
    run = HeadRun.start(session, ("values",), rows, options, purpose="predict")
    return Values(run.sequence_outputs(), run.truncated)
