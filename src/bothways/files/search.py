"""The nearest rows of a file of vectors: exact, streamed, in the memory of a part of the file."""

from typing import NamedTuple

import numpy as np

from bothways.files.origin import Origin, check_comparable
from bothways.files.vector_file import stored_vectors

__all__ = ["Found", "nearest", "read_origin"]


class Found(NamedTuple):
    """A row: its place among the nearest, its cosine with the query, id and text."""

    rank: int
    score: float
    row: int
    id: str
    text: str | None


def read_origin(path: str) -> Origin:
    """What made the vectors of a file.

    Raises:
        DataFileError: if the file was not written by bothways.
        MissingExtra: for parquet, where the library for it is not installed.
    """
    with stored_vectors(path) as stored:
        return stored.origin


def nearest(path: str, query: np.ndarray, origin: Origin, k: int) -> list[Found]:
    """The `k` rows whose vectors have the largest cosine with `query` (d,), nearest first.

    Equal scores are ordered by row. A vector of length 0 has the score 0.

    Raises:
        DataFileError: if the file is damaged, or its vectors are of another model, pooling or
            number of dimensions than `origin`, which made the query.
        MissingExtra: for parquet, where the library for it is not installed.
    """
    with stored_vectors(path) as stored:
        check_comparable(origin, stored.origin, path)
        query = query / max(float(np.linalg.norm(query)), np.finfo(np.float32).tiny)
        best_rows, best_scores = np.empty(0, np.int64), np.empty(0)
        start = 0
        for vectors in stored.parts():
            scores = _cosines(vectors, query)
            rows = np.concatenate([best_rows, np.arange(start, start + len(scores))])
            scores = np.concatenate([best_scores, scores])
            order = np.lexsort((rows, -scores))[:k]
            best_rows, best_scores = rows[order], scores[order]
            start += len(vectors)
        names = stored.names(best_rows)
        ranked = zip(best_rows.tolist(), best_scores.tolist(), strict=True)
        return [Found(rank, score, row, *names[row]) for rank, (row, score) in enumerate(ranked, 1)]


def _cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    dots = vectors @ query.astype(np.float32)
    scores = np.zeros(len(dots))
    np.divide(dots, lengths, out=scores, where=lengths > 0)
    return scores
