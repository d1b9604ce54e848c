"""Refusal of results that are not finite, with the layer that first gives such values."""

from collections.abc import Sequence

import numpy as np

from bothways.errors import InputError
from bothways.inference.backends import Backend
from bothways.model.heads import HeadTask
from bothways.model.packing import PackedBatch
from bothways.sequences import FittedSequence

__all__ = ["check_head_outputs", "check_module_outputs", "check_states", "first_not_finite"]


def first_not_finite(vectors: np.ndarray) -> int | None:
    """The first row, of axis 0, with NaN or infinity; None if all are finite."""
    finite = np.isfinite(vectors)
    if np.count_nonzero(finite) == finite.size:  # for few values, faster than all()
        return None
    finite_n = finite.reshape(len(vectors), -1).all(axis=1)
    return int(finite_n.argmin())


def check_states(backend: Backend, fitted: FittedSequence, states: np.ndarray, index: int) -> None:
    """Check the hidden states, or the pooled ones, of one sequence.

    Raises:
        InputError: naming the sequence, and the first layer whose output is not finite.
    """
    if np.isfinite(states).all():
        return
    raise InputError(
        f"{_place(backend, fitted)} has NaN or infinite values; {_advice(backend.precision)}",
        sequence=index,
    )


def check_module_outputs(vectors: np.ndarray, precision: str) -> None:
    """Check the vectors, (n, d), that the modules after pooling make of finite ones.

    Raises:
        InputError: naming the sequence.
    """
    index = first_not_finite(vectors)
    if index is not None:
        raise InputError(
            f"the output of the dense layers after pooling has NaN or infinite values; "
            f"{_advice(precision)}",
            sequence=index,
        )


def check_head_outputs(output_nO: np.ndarray, task: HeadTask, index_n: Sequence[int]) -> None:
    """Check the outputs, (n, O), that a head makes of finite vectors.

    index_n: the sequence of each row.

    Raises:
        InputError: naming the sequence.
    """
    row = first_not_finite(output_nO)
    if row is not None:
        raise InputError(
            f"the output of the head for {task} has NaN or infinite values; {_advice('fp32')}",
            sequence=index_n[row],
        )


def _place(backend: Backend, fitted: FittedSequence) -> str:
    """The first layer with an output that is not finite, of the windows of a sequence."""
    num_layers = backend.config.num_layers
    with np.errstate(all="ignore"):
        for window, segments in zip(fitted.windows, fitted.segments, strict=True):
            batch = PackedBatch.of([window], [segments])
            for layer in range(num_layers + 1):
                if not np.isfinite(backend.hidden_states(batch, [layer])).all():
                    return f"the output of {_name(layer, num_layers)}"
    return "the pooled vector"


def _name(layer: int, num_layers: int) -> str:
    return "the embeddings (layer 0)" if layer == 0 else f"layer {layer} of {num_layers}"


def _advice(precision: str) -> str:
    if precision == "fp32":
        return "the weights of the model are damaged, or too large for fp32"
    return f"choose another precision than {precision!r}: fp32 has the largest range"
