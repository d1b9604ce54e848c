"""Similarity of embeddings, for NumPy arrays and torch tensors alike.

The definitions are those of `sentence_transformers.util` (version 6.2); distances count negatively.
n and m embeddings of d dimensions.
"""

from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np

from bothways.drop_in.tensors import import_torch, is_tensor
from bothways.errors import InputError
from bothways.model.spec import SIMILARITIES

__all__ = ["check_similarity_name", "pairwise_similarity", "similarity"]

_SMALLEST_LENGTH = 1e-12
"""The length that shorter embeddings count as, as in torch's `normalize`."""


def check_similarity_name(name: Any) -> str:
    """The name of a similarity function, from a name or from an enum member with one.

    Raises:
        InputError: if bothways has no such function.
    """
    name = getattr(name, "value", name)
    if name not in SIMILARITIES:
        raise InputError(f"similarity_fn_name={name!r}: expected one of {', '.join(SIMILARITIES)}")
    return str(name)


def similarity(name: str, embeddings1: Any, embeddings2: Any) -> Any:
    """The similarity of each embedding to each other, (n, m).

    Tensors if either argument is one, and a NumPy array otherwise.

    Raises:
        InputError: if the embeddings have different numbers of dimensions.
    """
    xp, a, b = _as_floats(embeddings1, embeddings2)
    a, b = (xp.expand_dims(x, axis=0) if x.ndim == 1 else x for x in (a, b))
    _check_widths(a, b)
    match name:
        case "cosine":
            return _dots(a, b) / (_lengths(xp, a)[:, None] * _lengths(xp, b))
        case "dot":
            return _dots(a, b)
        case _:
            # Row by row: |a|² - 2ab + |b|² would lose the small distances to rounding.
            distance, b = _DISTANCES[name], _dense(b)
            rows = [-distance(xp, _dense(a[i]) - b) for i in range(a.shape[0])]
            return xp.stack(rows) if rows else xp.zeros((0, b.shape[0]), dtype=a.dtype)


def pairwise_similarity(name: str, embeddings1: Any, embeddings2: Any) -> Any:
    """The similarity of each embedding to the one at the same index, (n,); () for two of (d,).

    Tensors if either argument is one, and a NumPy array otherwise.

    Raises:
        InputError: if the embeddings have different numbers of dimensions.
    """
    xp, a, b = _as_floats(embeddings1, embeddings2)
    a, b = _dense(a), _dense(b)
    _check_widths(a, b)
    match name:
        case "cosine":
            return xp.sum(a * b, axis=-1) / (_lengths(xp, a) * _lengths(xp, b))
        case "dot":
            return xp.sum(a * b, axis=-1)
        case _:
            return -_DISTANCES[name](xp, a - b)


_DISTANCES: dict[str, Callable[[Any, Any], Any]] = {
    "euclidean": lambda xp, difference: xp.sqrt(xp.sum(difference * difference, axis=-1)),
    "manhattan": lambda xp, difference: xp.sum(xp.abs(difference), axis=-1),
}


def _dots(a: Any, b: Any) -> Any:
    """The dot product of each row of a with each of b; of sparse rows without their zeros."""
    if not _is_sparse(a) and _is_sparse(b):  # torch multiplies only in the other order
        return _dense(b @ a.T).T
    return _dense(a @ b.T)


def _lengths(xp: Any, x: Any) -> Any:
    squares = x * x
    sums = _dense(squares.sum(-1)) if _is_sparse(x) else xp.sum(squares, axis=-1)
    lengths = xp.sqrt(sums)
    return xp.where(lengths < _SMALLEST_LENGTH, _SMALLEST_LENGTH, lengths)


def _is_sparse(x: Any) -> bool:
    return bool(getattr(x, "is_sparse", False))


def _dense(x: Any) -> Any:
    return x.to_dense() if _is_sparse(x) else x


def _as_floats(embeddings1: Any, embeddings2: Any) -> tuple[Any, Any, Any]:
    """The array namespace of both arguments, and each as an array of floats in it."""
    both = [embeddings1, embeddings2]
    tensors = [x for x in (_first_tensor(e) for e in both) if x is not None]
    if not tensors:
        a, b = (_as_float_array(e) for e in both)
        return array_api_compat.array_namespace(a), a, b
    torch, device = import_torch("similarity"), tensors[0].device
    a, b = (_as_float_tensor(torch, e).to(device) for e in both)
    dtype = torch.promote_types(a.dtype, b.dtype)
    return array_api_compat.array_namespace(a), a.to(dtype), b.to(dtype)


def _as_float_array(embeddings: Any) -> np.ndarray:
    """An array of floats; float32 of integers, and of Python numbers as in torch."""
    array = np.asarray(embeddings)
    first = embeddings[0] if isinstance(embeddings, list | tuple) and embeddings else array
    return (
        array if array.dtype.kind == "f" and hasattr(first, "dtype") else array.astype(np.float32)
    )


def _first_tensor(embeddings: Any) -> Any:
    """The embeddings if they are a tensor, or the first of them if that is one; otherwise None."""
    if isinstance(embeddings, list | tuple) and embeddings:
        embeddings = embeddings[0]
    return embeddings if is_tensor(embeddings) else None


def _as_float_tensor(torch: Any, embeddings: Any) -> Any:
    if isinstance(embeddings, list | tuple) and embeddings and is_tensor(embeddings[0]):
        embeddings = torch.stack(list(embeddings))
    if not is_tensor(embeddings):
        embeddings = torch.from_numpy(np.ascontiguousarray(_as_float_array(embeddings)))
    return embeddings if embeddings.is_floating_point() else embeddings.float()


def _check_widths(a: Any, b: Any) -> None:
    if a.shape[-1:] != b.shape[-1:]:
        raise InputError(
            f"embeddings of shapes {tuple(a.shape)} and {tuple(b.shape)}: expected the same number "
            "of dimensions"
        )
