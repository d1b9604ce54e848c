"""The rows with the largest cosines, over batches of vectors, for many queries at once.

A scan gives approximate cosines of all rows and queries, which choose candidates. Only the cosines
of candidates are computed again, each from its vector alone: a matrix product rounds a row by its
place in the matrix, and equal vectors must have equal scores, whatever computed the product.
"""

from collections.abc import Callable

import numpy as np

from bothways.errors import DataFileError, InputError
from bothways.files.rows import Place

__all__ = ["NearestRows", "Scan", "check_finite", "normalize", "scan_with_numpy"]

Scan = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Of float32 vectors (n, d) and queries (q, d): products (q, n), which the caller may change, and
the squared lengths of the vectors (n,)."""

_COLUMNS = 4096
_PRODUCTS = 1 << 22
"""Number of approximate cosines in memory."""

_LEAST_SQUARE, _LARGEST_SQUARE = 1e-24, 1e24
"""Within these, the squared length of a vector neither underflows nor overflows in float32."""


class NearestRows:
    """The `k` rows nearest to each query, of the batches added so far.

    queries: (q, d). scan: computes the products and squared lengths from which approximate cosines
    follow; the results do not depend on it. rows, scores: for each query, nearest first; equal
    scores are ordered by row.

    Raises:
        InputError: if a query holds NaN or infinity.
    """

    def __init__(self, queries: np.ndarray, k: int, scan: Scan | None = None) -> None:
        if not np.isfinite(queries).all():
            raise InputError("the vector of the query holds NaN or infinity")
        self._queries, self._k, self._scan = normalize(queries), k, scan or scan_with_numpy
        self.rows = [np.empty(0, np.int64) for _ in queries]
        self.scores = [np.empty(0) for _ in queries]
        self._error = _largest_error(queries.shape[1])
        self._bounds = np.full(len(queries), -np.inf, np.float32)
        """Below this approximate cosine, no row can be among the k nearest."""

    def add(self, vectors: np.ndarray, rows: np.ndarray, name: str) -> None:
        """Add the float32 vectors (n, d) of these rows (n,) of the file `name`.

        Raises:
            DataFileError: if a vector holds NaN or infinity.
        """
        step = max(1, _PRODUCTS // max(1, len(self._queries)))
        for start in range(0, len(vectors), step):
            part = slice(start, start + step)
            self._add(vectors[part], rows[part], name)

    def _add(self, vectors: np.ndarray, rows: np.ndarray, name: str) -> None:
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            products, squares = self._scan(vectors, self._queries)
            precise = (squares > _LEAST_SQUARE) & (squares < _LARGEST_SQUARE)
            if not precise.all():
                check_finite(vectors[~precise], rows[~precise], name)
            products /= np.sqrt(np.where(precise, squares, 1))
        products[:, ~precise] = np.inf  # these are candidates, whatever their product
        numbers, columns = np.nonzero(products >= self._bounds[:, None])
        starts = np.searchsorted(numbers, np.arange(len(self._queries) + 1))
        for number in np.unique(numbers).tolist():
            candidates = columns[starts[number] : starts[number + 1]]
            candidates = self._reduce(candidates, products[number, candidates])
            self._merge(
                number, rows[candidates], _cosines(vectors[candidates], self._queries[number])
            )

    def _reduce(self, candidates: np.ndarray, approximate: np.ndarray) -> np.ndarray:
        """The candidates that can be among the k nearest of all candidates."""
        finite = approximate[np.isfinite(approximate)]
        if len(finite) <= 2 * self._k:
            return candidates
        kth = np.partition(finite, len(finite) - self._k)[-self._k]
        nearest: np.ndarray = candidates[approximate >= kth - 2 * self._error]
        return nearest

    def _merge(self, number: int, rows: np.ndarray, scores: np.ndarray) -> None:
        rows = np.concatenate([self.rows[number], rows])
        scores = np.concatenate([self.scores[number], scores])
        order = np.lexsort((rows, -scores))[: self._k]
        self.rows[number], self.scores[number] = rows[order], scores[order]
        if len(order) == self._k:
            self._bounds[number] = scores[order[-1]] - self._error


def scan_with_numpy(vectors: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products (q, n) of queries (q, d) with vectors (n, d), and squared lengths (n,)."""
    return queries @ vectors.T, _dots(vectors, vectors)


def _largest_error(dimensions: int) -> float:
    """Bound of the difference between two float32 cosines, summed in different orders.

    A sum of d products has an error of at most d u / (1 - d u) of the sum of their magnitudes, in
    any order (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), with u = 2^-24.
    """
    relative = dimensions * 2.0**-24
    return 3 * relative / (1 - min(0.5, relative)) + 1e-6


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Finite vectors (n, d) in float32, with length 1 unless they are zero."""
    exact = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.asarray(exact / np.maximum(lengths, float(np.finfo(np.float32).tiny)), np.float32)


def check_finite(vectors: np.ndarray, rows: np.ndarray, name: str) -> None:
    """Check the vectors (n, d) of these rows (n,) of the file `name`.

    Raises:
        DataFileError: if a vector holds NaN or infinity.
    """
    infinite = rows[~np.isfinite(vectors).all(axis=1)]
    if len(infinite):
        place = Place(name, int(infinite[0]) + 1, field="vector")
        raise DataFileError(f"{place}: holds NaN or infinity; encode the file again")


def _cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Cosines (n,) of vectors (n, d) with a query (d,) of length 1; 0 for a zero vector.

    Each depends on its vector alone.
    """
    scores = np.zeros(len(vectors))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares, dots = _dots(vectors, vectors), _dots(vectors, query)
        np.divide(dots, np.sqrt(squares), out=scores, where=squares != 0)
    if vectors.dtype == np.float32:
        imprecise = ~((squares > _LEAST_SQUARE) & (squares < _LARGEST_SQUARE))
        if imprecise.any():
            scores[imprecise] = _cosines(
                vectors[imprecise].astype(np.float64), query.astype(np.float64)
            )
    return scores


def _dots(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Products (n,) of vectors (n, d) with others, (n, d) or (d,)."""
    axes = "nd,nd->n" if others.ndim == 2 else "nd,d->n"
    dots = np.zeros(len(vectors), vectors.dtype)
    # einsum rounds a row by its place only if rows are longer than its buffer.
    for start in range(0, vectors.shape[1], _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        dots += np.einsum(axes, vectors[:, columns], others[..., columns])
    return dots
