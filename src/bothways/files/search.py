"""Exact search in a file of vectors, as a stream: memory is bounded by a batch of vectors."""

import contextlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from bothways.errors import DataFileError, InputError
from bothways.files.conditions import Condition, find_row, select_rows
from bothways.files.nearest import NearestRows, Scan
from bothways.files.origin import Origin, check_comparable
from bothways.files.vector_file import VectorFile, open_vector_file
from bothways.io.read_ahead import read_ahead

__all__ = [
    "SearchHit",
    "SearchIndex",
    "find_like",
    "find_nearest",
    "find_nearest_many",
    "read_origin",
    "scan_batches",
]


class SearchIndex(Protocol):
    """Finds rows without comparing all of them, such as `bothways.search.BitIndex`."""

    def open(self, path: str, *, trust: bool) -> VectorFile:
        """The file of the index, of which no more is read than the index needs.

        Raises:
            DataFileError: as `open_vector_file`.
        """

    def nearest(
        self,
        file: VectorFile,
        queries: np.ndarray,
        k: int,
        *,
        selected: np.ndarray | None,
        scan: Scan | None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The rows nearest to each of `queries` (q, d) and their cosines, nearest first.

        selected: whether to search each row; None for all.

        Raises:
            DataFileError: if the index is not of this file.
        """


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
    index: SearchIndex | None = None,
) -> list[SearchHit]:
    """Find the `k` rows whose vectors have the largest cosine with `query` (d,), nearest first.

    See `find_nearest_many`.
    """
    (hits,) = find_nearest_many(
        path, query[None], origin, k, where=where, trust=trust, scan=scan, index=index
    )
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
    index: SearchIndex | None = None,
) -> list[list[SearchHit]]:
    """Find the `k` rows nearest to each of `queries` (q, d), in one pass over the file.

    Equal vectors have equal scores, wherever they are in the file and however many queries there
    are, and equal scores are ordered by row. A zero vector has the score 0.

    where: conditions on the rows to search. trust: also search a file that does not say which model
    made its vectors, whose dimensions must be those of the queries. scan: computes the products,
    such as `bothways.native.scan_vectors`, which uses all threads; results do not depend on it.
    index: finds most of the nearest rows sooner, see `bothways.search.open_index`.

    Raises:
        DataFileError: if the file is damaged, a vector holds NaN or infinity, or the model, pooling
            or number of dimensions differ from `origin`, the origin of the queries.
        InputError: if a query holds NaN or infinity.
        MissingExtra: for .parquet, if pyarrow is not installed.

    Warns:
        PrecisionWarning: if the precision differs.
    """
    with _open(path, index, trust=trust) as file:
        if file.origin is not None:
            check_comparable(origin, file.origin, path)
        return _search(file, queries, k, select_rows(file, where), scan, index)


def find_like(
    path: str,
    row_id: str,
    k: int,
    *,
    where: Sequence[Condition] = (),
    trust: bool = False,
    scan: Scan | None = None,
    index: SearchIndex | None = None,
) -> list[SearchHit]:
    """Find the `k` rows nearest to the row with an id, without that row.

    where, trust, scan, index: as for `find_nearest_many`.

    Raises:
        DataFileError: if no row has the id, or several do; and as `find_nearest_many` does.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    with _open(path, index, trust=trust) as file:
        row = find_row(file, row_id)
        selected = select_rows(file, where)
        (hits,) = _search(file, _vector(file, row)[None], k, selected, scan, index, without=row)
        return hits


def _open(
    path: str, index: SearchIndex | None, *, trust: bool
) -> contextlib.AbstractContextManager[VectorFile]:
    if index is None:
        return open_vector_file(path, trust=trust)
    return contextlib.nullcontext(index.open(path, trust=trust))


def _search(
    file: VectorFile,
    queries: np.ndarray,
    k: int,
    selected: np.ndarray | None,
    scan: Scan | None,
    index: SearchIndex | None,
    *,
    without: int | None = None,
) -> list[list[SearchHit]]:
    """selected: whether to search each row. without: a row to leave out."""
    if file.dimensions not in (None, queries.shape[1]):
        raise DataFileError(
            f"{file.name}: its vectors have {file.dimensions} dimensions, the query has "
            f"{queries.shape[1]}; they cannot be compared"
        )
    count = k if without is None else k + 1
    if index is None:
        nearest = NearestRows(queries, count, scan)
        scan_batches(nearest, file.batches(), file.name, selected=selected)
        every, scores = nearest.rows, nearest.scores
    else:
        every, scores = index.nearest(file, queries, count, selected=selected, scan=scan)
    names = file.ids_and_texts(np.unique(np.concatenate([np.empty(0, np.int64), *every])))
    hits = []
    for rows, cosines in zip(every, scores, strict=True):
        pairs = zip(rows.tolist(), cosines.tolist(), strict=True)
        others = [(row, score) for row, score in pairs if row != without][:k]
        hits.append(
            [
                SearchHit(rank, score, row, *names[row])
                for rank, (row, score) in enumerate(others, 1)
            ]
        )
    return hits


def scan_batches(
    nearest: NearestRows,
    batches: Iterable[np.ndarray],
    name: str,
    *,
    selected: np.ndarray | None,
    start: int = 0,
) -> None:
    """Add the vectors of a file in batches, which are read while others are compared.

    selected: whether to search each row; None for all. start: the number of the first row.

    Raises:
        DataFileError: if a vector holds NaN or infinity, or as `batches` does.
    """
    for batch in read_ahead(batches):
        vectors, rows = batch, np.arange(start, start + len(batch))
        start += len(batch)
        if selected is not None:
            keep = selected[rows]
            vectors, rows = vectors[keep], rows[keep]
        nearest.add(vectors, rows, name)


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
