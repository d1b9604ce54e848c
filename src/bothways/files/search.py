"""The nearest rows of a file of vectors: exact, streamed, in the memory of a part of the file."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bothways.errors import DataFileError
from bothways.files.formats import check_inputs
from bothways.files.origin import Origin, check_comparable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["Found", "nearest", "read_origin"]

_BATCH_BYTES = 1 << 23


class Found(NamedTuple):
    """A row: its place among the nearest, its cosine with the query, id and text."""

    rank: int
    score: float
    row: int
    id: str
    text: str | None


def read_origin(path: str) -> Origin:
    """What made the vectors of a .parquet file.

    Raises:
        DataFileError: if the file was not written by bothways.
    """
    with _opened(path) as parquet:
        return _origin(parquet, path)


def nearest(path: str, query: np.ndarray, origin: Origin, k: int) -> list[Found]:
    """The `k` rows whose vectors have the largest cosine with `query` (d,), nearest first.

    Equal scores are ordered by row. A vector of length 0 has the score 0.

    Raises:
        DataFileError: if the file is damaged, or its vectors are of another model, pooling or
            number of dimensions than `origin`, which made the query.
    """
    with _opened(path) as parquet:
        check_comparable(origin, _origin(parquet, path), path)
        query = query / max(float(np.linalg.norm(query)), np.finfo(np.float32).tiny)
        best_rows, best_scores = np.empty(0, np.int64), np.empty(0)
        start = 0
        for vectors in _vectors(parquet, origin.dimensions, path):
            scores = _cosines(vectors, query)
            rows = np.concatenate([best_rows, np.arange(start, start + len(scores))])
            scores = np.concatenate([best_scores, scores])
            order = np.lexsort((rows, -scores))[:k]
            best_rows, best_scores = rows[order], scores[order]
            start += len(vectors)
        names = _names(parquet, best_rows, path)
        ranked = zip(best_rows.tolist(), best_scores.tolist(), strict=True)
        return [Found(rank, score, row, *names[row]) for rank, (row, score) in enumerate(ranked, 1)]


def _cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    dots = vectors @ query.astype(np.float32)
    scores = np.zeros(len(dots))
    np.divide(dots, lengths, out=scores, where=lengths > 0)
    return scores


@contextlib.contextmanager
def _opened(path: str) -> Iterator["pq.ParquetFile"]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (file,) = check_inputs([path])
    if file.format != "parquet":
        raise DataFileError(f"{path}: expected a .parquet file written by bothways encode")
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as parquet:
            yield parquet
    except DataFileError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise DataFileError(f"{path}: damaged, cut short or not parquet: {error}") from error


def _origin(parquet: "pq.ParquetFile", path: str) -> Origin:
    schema = parquet.schema_arrow
    origin = Origin.from_metadata(schema.metadata, path)
    if missing := [name for name in ("id", "text", "vector") if name not in schema.names]:
        raise DataFileError(f"{path}: no column {missing[0]!r}; was it changed after encoding?")
    return origin


def _vectors(parquet: "pq.ParquetFile", dimensions: int, path: str) -> Iterator[np.ndarray]:
    """Float32 (rows, d), part after part."""
    rows = max(1, _BATCH_BYTES // (4 * dimensions))
    start = 0
    for batch in parquet.iter_batches(rows, columns=["vector"]):
        column: pa.Array[Any] = batch.column("vector")
        flat = _flat(column, dimensions)
        if flat is None:
            raise DataFileError(
                f"{path}, rows {start} to {start + len(column) - 1}, column 'vector': expected "
                f"{dimensions} float32 in each row, as its metadata says, and no nulls"
            )
        yield flat.reshape(-1, dimensions)
        start += len(column)


def _flat(column: "pa.Array[Any]", dimensions: int) -> np.ndarray | None:
    import pyarrow as pa

    if not isinstance(column, pa.FixedSizeListArray) or column.type.list_size != dimensions:
        return None
    values = column.flatten()
    if column.null_count or values.null_count or not pa.types.is_float32(values.type):
        return None
    return np.asarray(values.to_numpy())


def _names(
    parquet: "pq.ParquetFile", rows: np.ndarray, path: str
) -> dict[int, tuple[str, str | None]]:
    """Id and text of `rows`, reading only the row groups that they are in."""
    names: dict[int, tuple[str, str | None]] = {}
    start = 0
    for group in range(parquet.num_row_groups):
        end = start + parquet.metadata.row_group(group).num_rows
        inside = np.sort(rows[(rows >= start) & (rows < end)])
        if len(inside):
            table = parquet.read_row_group(group, columns=["id", "text"]).take(inside - start)
            pairs = zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)
            for row, (row_id, text) in zip(inside.tolist(), pairs, strict=True):
                names[row] = (str(row_id), None if text is None else str(text))
        start = end
    return names
