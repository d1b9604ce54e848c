"""From pooled hidden states to the vectors of a model: dense layers, dimensions, unit length.

B sequences; D dimensions.
"""

from collections.abc import Sequence

import numpy as np

from bothways.errors import InputError
from bothways.model.pooling import NORM_EPS, Dense, Module, Normalize, PooledLayerNorm
from bothways.model.weights import Weights
from bothways.reference import activate
from bothways.reference.layers import layer_norm

__all__ = ["apply_modules", "finish", "first_dimensions", "to_unit_length"]

_SMALLEST_LENGTH = 1e-12
"""Vectors shorter than this are divided by it and so stay near 0, as in torch's `normalize`."""


def finish(
    pooled_BD: np.ndarray,
    modules: Sequence[Module],
    weights: Weights,
    *,
    normalize: bool,
    dimensions: int | None,
) -> np.ndarray:
    """Run the modules, keep the first `dimensions`, and divide by the length with `normalize`.

    A last `Normalize` among the modules is left to `normalize`, because fewer dimensions change
    the length of a vector.

    Raises:
        InputError: if there are fewer dimensions, or a dense layer takes another width.
    """
    if modules and isinstance(modules[-1], Normalize):
        modules = modules[:-1]
    vectors = first_dimensions(apply_modules(pooled_BD, modules, weights), dimensions)
    return to_unit_length(vectors) if normalize else vectors


def apply_modules(x_BD: np.ndarray, modules: Sequence[Module], weights: Weights) -> np.ndarray:
    """Run the modules that follow pooling in a model, in order.

    weights: the weights of the modules, under the names of `module_layout`.

    Raises:
        InputError: if a layer takes another width, as after a pooling of the user's choice.
    """
    for number, module in enumerate(modules):
        match module:
            case Dense():
                _check_width(x_BD, module.inputs, "dense layer")
                x_BD = x_BD @ weights[f"modules.{number}.weight"].T
                if module.bias:
                    x_BD = x_BD + weights[f"modules.{number}.bias"]
                x_BD = activate(x_BD, module.activation)
            case Normalize():
                x_BD = to_unit_length(x_BD)
            case PooledLayerNorm():
                _check_width(x_BD, module.width, "layer norm")
                x_BD = layer_norm(x_BD, weights, f"modules.{number}", NORM_EPS)
    return x_BD.astype(np.float32, copy=False)


def _check_width(x_BD: np.ndarray, width: int, layer: str) -> None:
    if x_BD.shape[1] != width:
        raise InputError(
            f"this pooling gives {x_BD.shape[1]} dimensions, and the model's {layer} takes "
            f"{width}; use the model's own pooling"
        )


def first_dimensions(x_BD: np.ndarray, dimensions: int | None) -> np.ndarray:
    """The first `dimensions` of each vector (Matryoshka, Kusupati et al. 2022, section 3).

    Raises:
        InputError: if there are fewer.
    """
    if dimensions is None:
        return x_BD
    if not 1 <= dimensions <= x_BD.shape[1]:
        raise InputError(f"dimensions={dimensions}: expected 1 to {x_BD.shape[1]}")
    return np.ascontiguousarray(x_BD[:, :dimensions])


def to_unit_length(x_BD: np.ndarray) -> np.ndarray:
    """Each vector divided by its Euclidean length, so that a dot product is a cosine."""
    # The sums are in float64, but the vectors are never copied to it: there may be millions.
    length_B = np.sqrt(np.einsum("bd,bd->b", x_BD, x_BD, dtype=np.float64))
    unit_BD = np.empty(x_BD.shape, np.float32)
    length_B1 = np.maximum(length_B, _SMALLEST_LENGTH)[:, None]
    np.divide(x_BD, length_B1, out=unit_BD, casting="same_kind")
    return unit_BD
