"""Exact search in a file of vectors, as a stream: memory is bounded by a batch of vectors."""

from typing import NamedTuple

import numpy as np

from bothways.errors import DataFileError, InputError
from bothways.files.origin import Origin, check_comparable
from bothways.files.rows import Place
from bothways.files.vector_file import open_vector_file

__all__ = ["SearchHit", "find_nearest", "read_origin"]

_COLUMNS = 4096

_LEAST_SQUARE, _LARGEST_SQUARE = 1e-24, 1e24
"""Within these, the squared length of a vector neither underflows nor overflows in float32."""


class SearchHit(NamedTuple):
    """A row of the result.

    rank: from 1, nearest first. score: cosine with the query. row: its number in the file, from 0.
    """

    rank: int
    score: float
    row: int
    id: str
    text: str | None


def read_origin(path: str) -> Origin:
    """The origin of the vectors in a file.

    Raises:
        DataFileError: if `bothways encode` did not write the file.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    with open_vector_file(path) as vector_file:
        return vector_file.origin


def find_nearest(path: str, query: np.ndarray, origin: Origin, k: int) -> list[SearchHit]:
    """Find the `k` rows whose vectors have the largest cosine with `query` (d,), nearest first.

    Equal vectors have equal scores, wherever they are in the file, and equal scores are ordered by
    row. A zero vector has the score 0.

    Raises:
        DataFileError: if the file is damaged, a vector holds NaN or infinity, or the model, pooling
            or number of dimensions differ from `origin`, the origin of the query.
        InputError: if the query holds NaN or infinity.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    with open_vector_file(path) as vector_file:
        check_comparable(origin, vector_file.origin, path)
        query = _normalize(query)
        best_rows, best_scores = np.empty(0, np.int64), np.empty(0)
        start = 0
        for vectors in vector_file.batches():
            scores = _cosines(vectors, query)
            if not np.isfinite(scores).all():
                row = start + int(np.flatnonzero(~np.isfinite(scores))[0])
                place = Place(path, row + 1, field="vector")
                raise DataFileError(f"{place}: holds NaN or infinity; encode the file again")
            rows = np.concatenate([best_rows, np.arange(start, start + len(scores))])
            scores = np.concatenate([best_scores, scores])
            order = np.lexsort((rows, -scores))[:k]
            best_rows, best_scores = rows[order], scores[order]
            start += len(vectors)
        ids_and_texts = vector_file.ids_and_texts(best_rows)
        ranked = zip(best_rows.tolist(), best_scores.tolist(), strict=True)
        return [
            SearchHit(rank, score, row, *ids_and_texts[row])
            for rank, (row, score) in enumerate(ranked, 1)
        ]


def _normalize(query: np.ndarray) -> np.ndarray:
    """The query in float32, with length 1 unless it is zero."""
    if not np.isfinite(query).all():
        raise InputError("the vector of the query holds NaN or infinity")
    exact = np.asarray(query, np.float64)
    length = max(float(np.linalg.norm(exact)), float(np.finfo(np.float32).tiny))
    return np.asarray(exact / length, np.float32)


def _cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Cosines (n,) of vectors (n, d) with a query (d,) of length 1, in the type of both.

    Each depends on its vector alone. NaN or infinity only where the vector holds one of them.
    """
    squares, dots = np.zeros((2, len(vectors)), vectors.dtype)
    scores = np.zeros(len(dots))
    with np.errstate(over="ignore", invalid="ignore"):
        # BLAS would be faster, but rounds a row by its place in the matrix, and einsum does so with
        # rows that are longer than its buffer.
        for start in range(0, vectors.shape[1], _COLUMNS):
            columns = slice(start, start + _COLUMNS)
            squares += np.einsum("nd,nd->n", vectors[:, columns], vectors[:, columns])
            dots += np.einsum("nd,d->n", vectors[:, columns], query[columns])
        np.divide(dots, np.sqrt(squares), out=scores, where=squares != 0)
    if vectors.dtype == np.float32:
        imprecise = ~((squares > _LEAST_SQUARE) & (squares < _LARGEST_SQUARE))
        if imprecise.any():
            scores[imprecise] = _cosines(
                vectors[imprecise].astype(np.float64), query.astype(np.float64)
            )
    return scores
