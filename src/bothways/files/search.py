"""Exact search in a file of vectors, as a stream: memory is bounded by a batch of vectors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bothways.errors import DataFileError, InputError
from bothways.files.conditions import Condition, find_row, select_rows
from bothways.files.nearest import NearestRows, Scan
from bothways.files.origin import Origin, check_comparable
from bothways.files.vector_file import VectorFile, open_vector_file
from bothways.io.read_ahead import read_ahead

__all__ = ["SearchHit", "find_like", "find_nearest", "find_nearest_many", "read_origin"]


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
    with open_vector_file(path) as file:
        if file.origin is None:
            raise AssertionError("only a trusted file may have no origin")
        return file.origin


def find_nearest(
    path: str,
    query: np.ndarray,
    origin: Origin,
    k: int,
    *,
    where: Sequence[Condition] = (),
    trust: bool = False,
    scan: Scan | None = None,
) -> list[SearchHit]:
    """Find the `k` rows whose vectors have the largest cosine with `query` (d,), nearest first.

    See `find_nearest_many`.
    """
    (hits,) = find_nearest_many(path, query[None], origin, k, where=where, trust=trust, scan=scan)
    return hits


def find_nearest_many(
    path: str,
    queries: np.ndarray,
    origin: Origin,
    k: int,
    *,
    where: Sequence[Condition] = (),
    trust: bool = False,
    scan: Scan | None = None,
) -> list[list[SearchHit]]:
    """Find the `k` rows nearest to each of `queries` (q, d), in one pass over the file.

    Equal vectors have equal scores, wherever they are in the file and however many queries there
    are, and equal scores are ordered by row. A zero vector has the score 0.

    where: conditions on the rows to search. trust: also search a file that does not say which model
    made its vectors, whose dimensions must be those of the queries. scan: computes the products,
    such as `bothways.native.scan_vectors`, which uses all threads; results do not depend on it.

    Raises:
        DataFileError: if the file is damaged, a vector holds NaN or infinity, or the model, pooling
            or number of dimensions differ from `origin`, the origin of the queries.
        InputError: if a query holds NaN or infinity.
        MissingExtra: for .parquet, if pyarrow is not installed.

    Warns:
        PrecisionWarning: if the precision differs.
    """
    with open_vector_file(path, trust=trust) as file:
        if file.origin is not None:
            check_comparable(origin, file.origin, path)
        return _search(file, queries, k, select_rows(file, where), scan)


def find_like(
    path: str,
    row_id: str,
    k: int,
    *,
    where: Sequence[Condition] = (),
    trust: bool = False,
    scan: Scan | None = None,
) -> list[SearchHit]:
    """Find the `k` rows nearest to the row with an id, without that row.

    where, trust, scan: as for `find_nearest_many`.

    Raises:
        DataFileError: if no row has the id, or several do; and as `find_nearest_many` does.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    with open_vector_file(path, trust=trust) as file:
        row = find_row(file, row_id)
        selected = select_rows(file, where)
        (hits,) = _search(file, _vector(file, row)[None], k, selected, scan, without=row)
        return hits


def _search(
    file: VectorFile,
    queries: np.ndarray,
    k: int,
    selected: np.ndarray | None,
    scan: Scan | None,
    *,
    without: int | None = None,
) -> list[list[SearchHit]]:
    """selected: whether to search each row. without: a row to leave out."""
    if file.dimensions not in (None, queries.shape[1]):
        raise DataFileError(
            f"{file.name}: its vectors have {file.dimensions} dimensions, the query has "
            f"{queries.shape[1]}; they cannot be compared"
        )
    nearest = NearestRows(queries, k, scan)
    start = 0
    for vectors in read_ahead(file.batches()):
        rows = np.arange(start, start + len(vectors))
        start += len(vectors)
        keep = np.ones(len(rows), bool) if selected is None else selected[rows]
        if without is not None:
            keep &= rows != without
        if not keep.all():
            vectors, rows = vectors[keep], rows[keep]
        nearest.add(vectors, rows, file.name)
    names = file.ids_and_texts(np.unique(np.concatenate([np.empty(0, np.int64), *nearest.rows])))
    return [
        [
            SearchHit(rank, score, row, *names[row])
            for rank, (row, score) in enumerate(zip(rows.tolist(), scores.tolist(), strict=True), 1)
        ]
        for rows, scores in zip(nearest.rows, nearest.scores, strict=True)
    ]


def _vector(file: VectorFile, row: int) -> np.ndarray:
    """The vector (d,) of a row."""
    start = 0
    for vectors in file.batches():
        if row < start + len(vectors):
            vector: np.ndarray = vectors[row - start].copy()
            if not np.isfinite(vector).all():
                raise InputError(f"{file.name}, row {row + 1}: its vector holds NaN or infinity")
            return vector
        start += len(vectors)
    raise AssertionError("the row is one of the file")
