"""Exact search in a file of vectors, as a stream: memory is bounded by a batch of vectors."""

from typing import NamedTuple

import numpy as np

from bothways.files.origin import Origin, check_comparable
from bothways.files.vector_file import open_vector_file

__all__ = ["SearchHit", "find_nearest", "read_origin"]


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

    Equal scores are ordered by row. A zero vector has the score 0.

    Raises:
        DataFileError: if the file is damaged, or its model, pooling or number of dimensions differ
            from `origin`, the origin of the query.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    with open_vector_file(path) as vector_file:
        check_comparable(origin, vector_file.origin, path)
        query = query / max(float(np.linalg.norm(query)), np.finfo(np.float32).tiny)
        best_rows, best_scores = np.empty(0, np.int64), np.empty(0)
        start = 0
        for vectors in vector_file.batches():
            scores = _cosines(vectors, query)
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


def _cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    dots = vectors @ query.astype(np.float32)
    scores = np.zeros(len(dots))
    np.divide(dots, lengths, out=scores, where=lengths > 0)
    return scores
