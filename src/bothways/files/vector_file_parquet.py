"""Vectors in Parquet, each with id and text; their origin is in the schema's metadata."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bothways.errors import DataFileError
from bothways.files.origin import Origin

__all__ = ["ParquetVectorFile", "open_parquet_vectors"]

_BATCH_BYTES = 1 << 23


class ParquetVectorFile:
    """An open .parquet file."""

    def __init__(self, parquet: pq.ParquetFile, path: str) -> None:
        self._parquet, self._path = parquet, path
        schema = parquet.schema_arrow
        self.origin = Origin.from_metadata(schema.metadata, path)
        for name in ("id", "text", "vector"):
            count = schema.names.count(name)
            if count != 1:
                raise DataFileError(
                    f"{path}: {count or 'no'} column{'s' if count else ''} {name!r}; "
                    "was the file changed after encoding?"
                )

    def batches(self) -> Iterator[np.ndarray]:
        """See `VectorFile.batches`."""
        dimensions = self.origin.dimensions
        rows = max(1, _BATCH_BYTES // (4 * dimensions))
        start = 0
        for batch in self._parquet.iter_batches(rows, columns=["vector"]):
            column: pa.Array[Any] = batch.column("vector")
            flat = _flat(column, dimensions)
            if flat is None:
                raise DataFileError(
                    f"{self._path}, rows {start} to {start + len(column) - 1}, column 'vector': "
                    f"expected {dimensions} float32 in each row, as in the metadata, and no nulls"
                )
            yield flat.reshape(-1, dimensions)
            start += len(column)

    def ids_and_texts(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """See `VectorFile.ids_and_texts`. Only the row groups of `rows` are read."""
        result: dict[int, tuple[str, str | None]] = {}
        start = 0
        for group in range(self._parquet.num_row_groups):
            end = start + self._parquet.metadata.row_group(group).num_rows
            inside = np.sort(rows[(rows >= start) & (rows < end)])
            if len(inside):
                table = self._parquet.read_row_group(group, columns=["id", "text"])
                table = table.take(inside - start)
                pairs = zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)
                for row, (row_id, text) in zip(inside.tolist(), pairs, strict=True):
                    result[row] = (str(row_id), None if text is None else str(text))
            start = end
        return result


@contextlib.contextmanager
def open_parquet_vectors(path: str) -> Iterator[ParquetVectorFile]:
    """Open a .parquet file of vectors; read errors in the block name the file.

    Raises:
        DataFileError: if it is damaged, or `bothways encode` did not write it.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as parquet:
            yield ParquetVectorFile(parquet, path)
    except DataFileError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise DataFileError(f"{path}: damaged, truncated or not a Parquet file: {error}") from error


def _flat(column: "pa.Array[Any]", dimensions: int) -> np.ndarray | None:
    if not isinstance(column, pa.FixedSizeListArray) or column.type.list_size != dimensions:
        return None
    values = column.flatten()
    if column.null_count or values.null_count or not pa.types.is_float32(values.type):
        return None
    return np.asarray(values.to_numpy())
