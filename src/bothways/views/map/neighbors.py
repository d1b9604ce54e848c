"""Exact nearest neighbors: by cosine between vectors, and by distance on a map.

n rows; d dimensions; k neighbors.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from bothways.files.nearest import Scan

__all__ = ["Neighbors", "ReportFraction", "nearest_by_cosine", "nearest_on_map", "trustworthiness"]

ReportFraction = Callable[[float], None]
"""Called with the completed fraction of the work."""

_PRODUCTS = 1 << 24
"""Number of cosines in memory."""

_GROUP = 64
_LEAF = 48
"""Most points in a cell of the map."""


class Neighbors(NamedTuple):
    """The k nearest rows of each row, without itself, nearest first.

    indices: int64 (n, k). cosines: float32 (n, k).
    """

    indices: np.ndarray
    cosines: np.ndarray


def nearest_by_cosine(vectors: np.ndarray, k: int, scan: Scan, report: ReportFraction) -> Neighbors:
    """The `k` < n nearest rows of each of vectors (n, d), which have length 1 or 0.

    All pairs are compared, a block of rows at a time.
    """
    rows = len(vectors)
    indices, cosines = np.empty((rows, k), np.int64), np.empty((rows, k), np.float32)
    step = max(1, _PRODUCTS // rows)
    for start in range(0, rows, step):
        block = slice(start, min(start + step, rows))
        products = scan(vectors, vectors[block])[0]
        products[np.arange(len(products)), np.arange(block.start, block.stop)] = -np.inf
        bounds = _lower_bounds(products, k)
        numbers, columns = np.nonzero(products >= bounds[:, None])
        starts = np.searchsorted(numbers, np.arange(len(products) + 1))
        for number, row in enumerate(range(block.start, block.stop)):
            candidates = columns[starts[number] : starts[number + 1]]
            scores = products[number, candidates]
            order = np.argsort(-scores, kind="stable")[:k]
            indices[row], cosines[row] = candidates[order], scores[order]
        report(block.stop / rows)
    return Neighbors(indices, cosines)


def _lower_bounds(products: np.ndarray, k: int) -> np.ndarray:
    """For each row of products (q, n), a number that at least k of them reach.

    Of the maxima of groups, the k-th largest: each of k groups has a product that is no smaller.
    """
    groups = products.shape[1] // _GROUP
    if groups <= k:
        return np.partition(products, products.shape[1] - k, axis=1)[:, products.shape[1] - k]
    grouped = products[:, : groups * _GROUP].reshape(len(products), groups, _GROUP).max(axis=2)
    bounds: np.ndarray = np.partition(grouped, groups - k, axis=1)[:, groups - k]
    return bounds


def nearest_on_map(coordinates: np.ndarray, k: int) -> np.ndarray:
    """The `k` < n nearest points of each of coordinates (n, 2), nearest first, int64 (n, k).

    Points are in cells of about equal numbers, as in a k-d tree. The k-th distance within its own
    cell and the nearest cells bounds how far the neighbors of a point can be.
    """
    points = np.asarray(coordinates, np.float64)
    cells = list(_split(points, np.arange(len(points)), max(_LEAF, 2 * (k + 1))))
    low = np.array([points[cell].min(axis=0) for cell in cells])
    high = np.array([points[cell].max(axis=0) for cell in cells])
    nearest = np.empty((len(points), k), np.int64)
    for number, cell in enumerate(cells):
        gaps = np.maximum(0, np.maximum(low - high[number], low[number] - high))
        between = (gaps**2).sum(axis=1)
        own = _squares(points[cell], points[cell])
        reach = np.partition(own, k, axis=1)[:, k].max()
        others = np.concatenate([cells[i] for i in np.flatnonzero(between <= reach)])
        others.sort()
        squares = _squares(points[cell], points[others])
        squares[cell[:, None] == others] = np.inf
        nearest[cell] = others[_smallest(squares, k)]
    return nearest


def _smallest(squares: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k smallest of each row, smallest first."""
    if squares.shape[1] > k:
        chosen = np.sort(np.argpartition(squares, k - 1, axis=1)[:, :k], axis=1)
    else:
        chosen = np.tile(np.arange(squares.shape[1]), (len(squares), 1))
    order = np.argsort(np.take_along_axis(squares, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def _squares(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distances (n, m) between points (n, 2) and (m, 2)."""
    squares: np.ndarray = ((points[:, None] - others[None]) ** 2).sum(axis=2)
    return squares


def _split(points: np.ndarray, rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The rows in cells of at most `size` points: halves along the longer side."""
    if len(rows) <= size:
        yield rows
        return
    own = points[rows]
    axis = int(np.argmax(np.ptp(own, axis=0)))
    middle = len(rows) // 2
    order = np.argpartition(own[:, axis], middle)
    yield from _split(points, rows[order[:middle]], size)
    yield from _split(points, rows[order[middle:]], size)


def trustworthiness(
    vectors: np.ndarray, on_map: np.ndarray, true: Neighbors, sample: np.ndarray, scan: Scan
) -> float:
    """How few rows are neighbors on the map without being so among the vectors, from 0 to 1.

    Venna and Kaski 2001, "Neighborhood Preservation in Nonlinear Projection Methods": a row that
    the map brings among the k nearest costs its rank by cosine beyond k.

    on_map: int64 (n, k). sample: the rows over which the mean is taken.
    """
    rows, k = on_map.shape
    total = 0
    step = max(1, _PRODUCTS // rows)
    for start in range(0, len(sample), step):
        block = sample[start : start + step]
        products = scan(vectors, vectors[block])[0]
        for row, cosines in zip(block.tolist(), products, strict=True):
            strangers = np.setdiff1d(on_map[row], true.indices[row])
            cosines[row] = -np.inf
            ranks = 1 + (cosines > cosines[strangers][:, None]).sum(axis=1)
            total += int(np.maximum(0, ranks - k).sum())
    if (largest := 2 * rows - 3 * k - 1) <= 0:  # k is then more than half of all rows
        return 1.0
    return 1 - 2 * total / float(len(sample) * k * largest)
