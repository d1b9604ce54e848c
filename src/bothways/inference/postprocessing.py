"""From pooled vectors to the vectors that a model promises: dense layers, dimensions, unit length.

B sequences; D dimensions.
"""

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from bothways.errors import InputError
from bothways.model.pooling import Dense, DenseActivation, Module, Normalize
from bothways.model.weights import Weights
from bothways.reference import activate

__all__ = ["apply_modules", "first_dimensions", "to_unit_length"]

_SMALLEST_LENGTH = 1e-12
"""Vectors shorter than this are left as they are, near 0; the same bound as torch's `normalize`."""


def apply_modules(x_BD: np.ndarray, modules: Sequence[Module], weights: Weights) -> np.ndarray:
    """Run the modules that follow pooling in a model, in order.

    weights: those of the modules, under the names of `module_layout`.

    Raises:
        InputError: if a dense layer does not fit the width, as after another pooling.
    """
    for number, module in enumerate(modules):
        match module:
            case Dense():
                if x_BD.shape[1] != module.inputs:
                    raise InputError(
                        f"this pooling gives {x_BD.shape[1]} dimensions, and the model's dense "
                        f"layer takes {module.inputs}; use the model's own pooling"
                    )
                x_BD = x_BD @ weights[f"modules.{number}.weight"].T
                if module.bias:
                    x_BD = x_BD + weights[f"modules.{number}.bias"]
                x_BD = _activate(x_BD, module.activation)
            case Normalize():
                x_BD = to_unit_length(x_BD)
    return x_BD.astype(np.float32, copy=False)


def first_dimensions(x_BD: np.ndarray, dimensions: int | None) -> np.ndarray:
    """The first `dimensions` of each vector (Matryoshka, Kusupati et al. 2022, section 3).

    Raises:
        InputError: if there are not as many.
    """
    if dimensions is None:
        return x_BD
    if not 1 <= dimensions <= x_BD.shape[1]:
        raise InputError(f"dimensions={dimensions}: expected 1 to {x_BD.shape[1]}")
    return np.ascontiguousarray(x_BD[:, :dimensions])


def to_unit_length(x_BD: np.ndarray) -> np.ndarray:
    """Each vector divided by its Euclidean length, so that a dot product is a cosine."""
    # In float64, but never all of them at once: there may be millions.
    length_B = np.sqrt(np.einsum("bd,bd->b", x_BD, x_BD, dtype=np.float64))
    unit_BD = np.empty(x_BD.shape, np.float32)
    length_B1 = np.maximum(length_B, _SMALLEST_LENGTH)[:, None]
    np.divide(x_BD, length_B1, out=unit_BD, casting="same_kind")
    return unit_BD


def _activate(x_BD: np.ndarray, activation: DenseActivation) -> np.ndarray:
    activated_BD: np.ndarray
    match activation:
        case "identity":
            activated_BD = x_BD
        case "tanh":
            activated_BD = np.tanh(x_BD)
        case "sigmoid":
            activated_BD = 1 / (1 + np.exp(-x_BD))
        case "relu" | "gelu" | "gelu_tanh" | "silu":
            activated_BD = activate(x_BD, activation)
        case unknown:
            assert_never(unknown)
    return activated_BD
