"""Vectors in Parquet, each with id and text; their origin is in the schema's metadata."""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bothways.errors import DataFileError
from bothways.files.columns import format_names
from bothways.files.origin import Origin, has_origin
from bothways.files.plain_pages import PLAIN_DTYPES, PlainPages, find_plain_pages
from bothways.files.vector_form import VectorCodec, ranges_from_json
from bothways.files.vector_writers import RANGES_KEY

__all__ = ["ParquetVectorFile", "open_parquet_vectors"]

_BATCH_BYTES = 1 << 23
_COLUMN_ROWS = 1 << 16


class ParquetVectorFile:
    """An open .parquet file.

    trust: whether its metadata may have no origin. codec: converts stored vectors to float32.
    """

    def __init__(self, parquet: pq.ParquetFile, path: str, *, trust: bool = False) -> None:
        self._parquet, self.name = parquet, path
        schema = parquet.schema_arrow
        self.origin: Origin | None = None
        if has_origin(schema.metadata) or not trust:
            self.origin = Origin.from_metadata(schema.metadata, path)
        if schema.names.count("vector") != 1:
            raise DataFileError(
                f"{path}: expected one column 'vector', found {format_names(schema.names)}; "
                "was the file changed after encoding?"
            )
        self.columns = [name for name in schema.names if name != "vector"]
        if repeated := [name for name in ("id", "text") if self.columns.count(name) > 1]:
            raise DataFileError(f"{path}: several columns {repeated[0]!r}; rename all but one")
        self.dimensions = (
            self._count_dimensions() if self.origin is None else self.origin.dimensions
        )
        self.codec = self._find_codec()

    def _find_codec(self) -> VectorCodec:
        if self.origin is None:
            return VectorCodec("f32", self.dimensions or 1)
        stored = (self._parquet.schema_arrow.metadata or {}).get(RANGES_KEY.encode())
        ranges = None if stored is None else ranges_from_json(stored, self.name)
        return VectorCodec.of(self.origin, ranges, self.name)

    def _count_dimensions(self) -> int | None:
        """The number of dimensions of the first row."""
        for batch in self._parquet.iter_batches(1, columns=["vector"]):
            first = batch.column("vector")[0].as_py()
            if isinstance(first, list) and first:
                return len(first)
            raise DataFileError(
                f"{self.name}, column 'vector': expected lists of numbers, found "
                f"{batch.column('vector').type}"
            )
        return None

    @property
    def num_rows(self) -> int:
        """The number of vectors."""
        return self._parquet.metadata.num_rows

    def batches(self) -> Iterator[np.ndarray]:
        """See `VectorFile.batches`."""
        dimensions = self.dimensions or 1
        rows = max(1, _BATCH_BYTES // (4 * dimensions))
        if self.plain_pages is not None:
            with Path(self.name).open("rb", buffering=0) as file:
                yield from map(self.codec.decode, self.plain_pages.read(file, dimensions, rows))
            return
        yield from map(self.codec.decode, self._stored(rows))

    def stored(self) -> Iterator[np.ndarray]:
        """Yield all vectors as they are stored, in batches (rows, width): numbers or codes.

        Raises:
            DataFileError: as `batches` does.
        """
        return self._stored(_COLUMN_ROWS)

    def _stored(self, rows: int) -> Iterator[np.ndarray]:
        start = 0
        for batch in self._parquet.iter_batches(rows, columns=["vector"]):
            yield self._lists(batch.column("vector"), start)
            start += len(batch)

    def read_rows(self, rows: np.ndarray) -> np.ndarray:
        """The vectors float32 (n, d) of `rows` (n,), which are in ascending order.

        Raises:
            DataFileError: as `batches` does.
        """
        dimensions = self.dimensions or 1
        if self.plain_pages is not None:
            with Path(self.name).open("rb", buffering=0) as file:
                return self.codec.decode(self.plain_pages.read_rows(file, dimensions, rows))
        vectors = [np.empty((0, dimensions), np.float32)]
        start = 0
        for group in range(self._parquet.num_row_groups):
            end = start + self._parquet.metadata.row_group(group).num_rows
            inside = rows[(rows >= start) & (rows < end)]
            if len(inside):
                table = self._parquet.read_row_group(group, columns=["vector"])
                column = table["vector"].combine_chunks()
                stored = self._lists(column, start)[inside - start]
                vectors.append(self.codec.decode(stored))
            start = end
        return np.concatenate(vectors)

    def _lists(self, column: "pa.Array[Any]", start: int) -> np.ndarray:
        """A column of lists, whose first row has the number `start`, as an array (n, width)."""
        codec = self.codec
        flat = _flat(column, codec)
        if flat is None:
            numbers = "numbers" if codec.is_float else f"{codec.dtype} codes"
            raise DataFileError(
                f"{self.name}, rows {start} to {start + len(column) - 1}, column 'vector': "
                f"expected {codec.width} {numbers} in each row, as in the metadata or the first "
                f"row, and no nulls; found {column.type}"
            )
        return flat.reshape(-1, codec.width)

    @cached_property
    def plain_pages(self) -> PlainPages | None:
        """The vectors as they are in the file; None if they must be decoded."""
        kind = self._parquet.schema_arrow.field("vector").type
        dtype = PLAIN_DTYPES.get(self.codec.form)
        if dtype is None:
            return None
        if not isinstance(kind, pa.FixedSizeListType) or kind.list_size != self.dimensions:
            return None
        schema = self._parquet.schema
        paths = [schema.column(number).path for number in range(len(schema))]
        (column,) = (number for number, path in enumerate(paths) if path.startswith("vector."))
        with Path(self.name).open("rb") as file:
            return find_plain_pages(file, self._parquet.metadata, column, kind.list_size, dtype)

    def read_column(self, column: str) -> Iterator[Any]:
        """See `VectorFile.read_column`."""
        for batch in self._parquet.iter_batches(_COLUMN_ROWS, columns=[column]):
            yield from batch.column(0).to_pylist()

    def ids_and_texts(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """See `VectorFile.ids_and_texts`. Only the row groups of `rows` are read."""
        result: dict[int, tuple[str, str | None]] = {}
        start = 0
        for group in range(self._parquet.num_row_groups):
            end = start + self._parquet.metadata.row_group(group).num_rows
            inside = np.sort(rows[(rows >= start) & (rows < end)])
            if len(inside):
                names = [name for name in ("id", "text") if name in self.columns]
                table = self._parquet.read_row_group(group, columns=names, use_threads=False)
                table = table.take(inside - start)
                ids = table["id"].to_pylist() if "id" in names else inside.tolist()
                texts = table["text"].to_pylist() if "text" in names else [None] * len(inside)
                for row, row_id, text in zip(inside.tolist(), ids, texts, strict=True):
                    result[row] = (str(row_id), None if text is None else str(text))
            start = end
        return result


@contextlib.contextmanager
def open_parquet_vectors(path: str, *, trust: bool = False) -> Iterator[ParquetVectorFile]:
    """Open a .parquet file of vectors; read errors in the block name the file.

    Raises:
        DataFileError: if it is damaged, or `bothways encode` did not write it.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as parquet:
            yield ParquetVectorFile(parquet, path, trust=trust)
    except DataFileError:
        raise
    except (pa.ArrowException, OSError, EOFError) as error:
        raise DataFileError(f"{path}: damaged, truncated or not a Parquet file: {error}") from error


def _flat(column: "pa.Array[Any]", codec: VectorCodec) -> np.ndarray | None:
    """The numbers or codes of all rows; None unless each row has as many as the codec stores."""
    if isinstance(column, pa.FixedSizeListArray):
        lengths_agree = column.type.list_size == codec.width
    elif isinstance(column, pa.ListArray | pa.LargeListArray):  # as pandas and polars write them
        lengths_agree = set(np.unique(np.diff(column.offsets.to_numpy()))) <= {codec.width}
    else:
        return None
    values = column.flatten()
    is_complete = lengths_agree and not column.null_count and not values.null_count
    if not is_complete:
        return None
    if not codec.is_float:
        return values.to_numpy() if pa.types.is_int8(values.type) else None
    if not pa.types.is_floating(values.type):
        return None
    with np.errstate(over="ignore"):  # search refuses infinity
        return np.asarray(values.to_numpy(), codec.dtype)
