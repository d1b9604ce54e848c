"""Projections of vectors to the plane: principal components, or UMAP.

n rows; d dimensions; c components.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import MissingExtra
from bothways.views.map.neighbors import Neighbors

__all__ = [
    "PrincipalComponents",
    "principal_components",
    "project_umap",
    "require_umap",
]

_OVERSAMPLING = 10
_POWER_ITERATIONS = 4


class PrincipalComponents(NamedTuple):
    """The first principal components of vectors.

    coordinates: float32 (n, c). shares: of the variance, float64 (c,).
    """

    coordinates: np.ndarray
    shares: np.ndarray


def principal_components(vectors: np.ndarray, components: int, seed: int) -> PrincipalComponents:
    """The first principal components of vectors (n, d), by a randomized SVD.

    Halko, Martinsson and Tropp 2011, "Finding Structure with Randomness", algorithms 4.4 and 5.1.
    The same seed gives the same result: of each component, the dimension with the largest weight
    has a positive one. Components beyond the rank of the vectors are 0.
    """
    rows, dimensions = vectors.shape
    size = min(components + _OVERSAMPLING, rows, dimensions)
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    start = np.random.default_rng(seed).standard_normal((dimensions, size)).astype(np.float32)
    basis = _orthonormal(_times(vectors, mean, start))
    for _ in range(_POWER_ITERATIONS):
        other = _orthonormal(_transposed_times(vectors, mean, basis))
        basis = _orthonormal(_times(vectors, mean, other))
    left, singular, right = np.linalg.svd(
        _transposed_times(vectors, mean, basis).T.astype(np.float64), full_matrices=False
    )
    signs = np.sign(np.take_along_axis(right, np.abs(right).argmax(axis=1)[:, None], axis=1)[:, 0])
    found = (basis @ (left * (singular * signs)).astype(np.float32))[:, :components]
    coordinates = np.zeros((rows, components), np.float32)
    coordinates[:, : found.shape[1]] = found
    shares = np.zeros(components)
    total = _total_variance(vectors, mean)
    if total > 0:
        shares[: found.shape[1]] = np.minimum(1, singular[:components] ** 2 / total)
    return PrincipalComponents(coordinates, shares)


def project_umap(vectors: np.ndarray, neighbors: Neighbors, seed: int) -> np.ndarray:
    """Coordinates float32 (n, 2) by UMAP (McInnes, Healy and Melville 2018), from exact neighbors.

    One thread, so that the same seed gives the same result.

    Raises:
        MissingExtra: if umap-learn is not installed.
    """
    umap = require_umap()
    rows = len(vectors)
    indices = np.hstack([np.arange(rows)[:, None], neighbors.indices])
    distances = np.hstack([np.zeros((rows, 1)), 1 - neighbors.cosines]).astype(np.float32)
    model = umap.UMAP(
        n_components=2,
        metric="cosine",
        n_neighbors=indices.shape[1],
        precomputed_knn=(indices, distances),
        init="pca",
        n_jobs=1,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # It says that new vectors cannot be transformed, and that few neighbors are few.
        warnings.simplefilter("ignore")
        return np.asarray(model.fit_transform(vectors), np.float32)


def require_umap() -> Any:
    """The module of UMAP.

    Raises:
        MissingExtra: if umap-learn is not installed.
    """
    try:
        import umap
    except ImportError as error:
        raise MissingExtra("map", "the projection umap") from error
    return umap


def _times(vectors: np.ndarray, mean: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Centered vectors times other, without a centered copy."""
    product: np.ndarray = vectors @ other - mean @ other
    return product


def _transposed_times(vectors: np.ndarray, mean: np.ndarray, other: np.ndarray) -> np.ndarray:
    product: np.ndarray = vectors.T @ other - np.outer(mean, other.sum(axis=0))
    return product


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    basis: np.ndarray = np.linalg.qr(columns)[0]
    return basis


def _total_variance(vectors: np.ndarray, mean: np.ndarray) -> float:
    """The sum of squares of the centered vectors."""
    squares = np.einsum("nd,nd->", vectors, vectors, dtype=np.float64)
    return float(squares - len(vectors) * np.square(mean, dtype=np.float64).sum())
