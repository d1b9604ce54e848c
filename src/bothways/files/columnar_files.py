"""Parquet files, and Arrow files (Feather 2) and streams, as batches of rows."""

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bothways.errors import DataFileError
from bothways.files.formats import STDIN, InputFile
from bothways.files.rows import ReadProgress

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["ColumnarFile", "open_columnar"]

_BATCH_BYTES = 1 << 23
_BATCH_ROWS = 4096
_BUFFER_BYTES = 1 << 20
_ARROW_FILE_MAGIC = b"ARROW1"


class ColumnarFile(Protocol):
    """An open file of columns.

    rows_read: kept by the reader, for the progress.
    """

    schema: "pa.Schema"
    rows_read: int

    @property
    def num_rows(self) -> int:
        """Number of rows in the file."""

    def batches(self, columns: Sequence[str], first: int = 0) -> "Iterator[pa.RecordBatch]":
        """Batches of rows with these columns, from row `first` on, counted from 0."""


@contextlib.contextmanager
def open_columnar(file: InputFile, read_progress: ReadProgress) -> Iterator[ColumnarFile]:
    """Open a Parquet or Arrow file.

    Raises:
        DataFileError: if it is damaged, truncated or of another format, also while it is read.
    """
    import pyarrow as pa

    if file.source == STDIN:
        raise DataFileError(
            f".{file.format} cannot be read from standard input, as its end is read first; "
            "give a file"
        )
    try:
        opener = _open_parquet if file.format == "parquet" else _open_arrow
        with opener(file.source, read_progress) as columnar:
            try:
                yield columnar
            finally:
                read_progress.finish_file()  # before the file is closed
    except DataFileError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # also names of columns
        expected = "a Parquet file" if file.format == "parquet" else "an Arrow or Feather 2 file"
        raise DataFileError(
            f"{file.name}: damaged, truncated or not {expected}: {error}"
        ) from error


class _ParquetFile:
    """A Parquet file; a batch has at most about `_BATCH_BYTES`."""

    def __init__(self, parquet: "pq.ParquetFile") -> None:
        self._parquet = parquet
        self.schema = parquet.schema_arrow
        self.rows_read = 0

    @property
    def num_rows(self) -> int:
        return self._parquet.metadata.num_rows

    def batches(self, columns: Sequence[str], first: int = 0) -> "Iterator[pa.RecordBatch]":
        metadata = self._parquet.metadata
        groups, start = list(range(metadata.num_row_groups)), 0
        while groups and start + metadata.row_group(groups[0]).num_rows <= first:
            start += metadata.row_group(groups.pop(0)).num_rows
        batches = self._parquet.iter_batches(
            self._batch_rows(), row_groups=groups, columns=list(columns)
        )
        return _without_first(batches, first - start)

    def _batch_rows(self) -> int:
        """Rows per batch: about `_BATCH_BYTES` of the row group with the largest rows.

        All columns count: asking for the size of one ends the process if its metadata is damaged.
        """
        rows = _BATCH_ROWS
        metadata = self._parquet.metadata
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            per_row = group.total_byte_size / max(1, group.num_rows)
            rows = min(rows, math.floor(_BATCH_BYTES / max(1.0, per_row)))
        return max(1, rows)


@contextlib.contextmanager
def _open_parquet(source: str, read_progress: ReadProgress) -> Iterator[ColumnarFile]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False) as parquet:
        file = _ParquetFile(parquet)
        size, total = Path(source).stat().st_size, max(1, parquet.metadata.num_rows)
        read_progress.follow(lambda: size * file.rows_read // total)
        yield file


class _ArrowFile:
    """An Arrow file or stream; its batches are those that it was written in."""

    def __init__(self, source: "pa.NativeFile") -> None:
        self._source = source
        self._is_stream = source.read(len(_ARROW_FILE_MAGIC)) != _ARROW_FILE_MAGIC
        self.schema = self._open().schema
        self.rows_read = 0

    @property
    def num_rows(self) -> int:
        return sum(batch.num_rows for batch in self.batches([]))

    def batches(self, columns: Sequence[str], first: int = 0) -> "Iterator[pa.RecordBatch]":
        reader = self._open([self.schema.get_field_index(column) for column in columns])
        batches = reader if self._is_stream else _batches_of_file(reader)
        for batch in _without_first(batches, first):
            batch.validate(full=True)  # offsets of a damaged file would end the process
            yield batch
        self._source.seek(0, os.SEEK_END)  # for the progress: a footer may follow

    def _open(self, fields: list[int] | None = None) -> Any:
        import pyarrow as pa

        self._source.seek(0)
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        open_reader = pa.ipc.open_stream if self._is_stream else pa.ipc.open_file
        return open_reader(self._source, options=options)


def _without_first(batches: "Iterable[pa.RecordBatch]", count: int) -> "Iterator[pa.RecordBatch]":
    """The batches from row `count` on."""
    for batch in batches:
        if count < batch.num_rows:
            yield batch.slice(count) if count else batch
        count = max(0, count - batch.num_rows)


def _batches_of_file(reader: Any) -> "Iterator[pa.RecordBatch]":
    return (reader.get_batch(i) for i in range(reader.num_record_batches))


@contextlib.contextmanager
def _open_arrow(source: str, read_progress: ReadProgress) -> Iterator[ColumnarFile]:
    import pyarrow as pa

    with pa.OSFile(source, "rb") as file:
        read_progress.follow(file.tell)
        yield _ArrowFile(file)
