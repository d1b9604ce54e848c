"""Writers of records, a part at a time: rows of named columns.

.parquet     columns of the types that were asked for; what made them in the schema's metadata
.jsonl       one object a row
.csv, .tsv   a header, and one row a record; a list is written as JSON
"""

import contextlib
import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from bothways.errors import DataFileError
from bothways.files.formats import require_parquet
from bothways.files.output import PendingFile
from bothways.files.vector_writers import Sink

__all__ = ["ColumnType", "RecordOutput", "RecordWriter", "record_output"]

ColumnType = Literal["text", "number", "flag", "texts", "numbers", "lists of texts",
                     "lists of numbers"]  # fmt: skip
"""What a cell holds; any of it may be None, and so may a text or a number in a list."""

Columns = Mapping[str, ColumnType]
Rows = Mapping[str, Sequence[Any]]

_FORMATS = (".parquet", ".jsonl", ".csv", ".tsv")
_STDOUT = "-"
_ROW_GROUP_BYTES = 1 << 23


class RecordWriter(Protocol):
    """Writes records to one file."""

    def write(self, rows: Rows) -> None:
        """Add records: for each column its cells, of every column equally many."""

    def finish(self) -> None:
        """Write what stands at the end of the file."""


class RecordOutput:
    """A place that is known to be writable, before it is known what is to be written."""

    def __init__(self, suffix: str, sink: Sink) -> None:
        self._suffix, self._sink = suffix, sink
        self._writer: RecordWriter | None = None

    def begin(self, columns: Columns, metadata: Mapping[str, str]) -> RecordWriter:
        """A writer of records with these columns; to be called once.

        metadata: what made them, for the formats that have a place for it.
        """
        match self._suffix:
            case ".parquet":
                self._writer = _ParquetWriter(self._sink, columns, metadata)
            case ".jsonl":
                self._writer = _JsonlWriter(self._sink)
            case _:
                self._writer = _TableWriter(
                    self._sink, columns, "\t" if self._suffix == ".tsv" else ","
                )
        return self._writer

    def finish(self) -> None:
        """Write what stands at the end of the file."""
        if self._writer is not None:
            self._writer.finish()

    def abandon(self) -> None:
        """Let go of the file, which will be removed."""
        self._sink.discards = True
        self.finish()  # into nowhere: pyarrow would else do it when collected


@contextlib.contextmanager
def record_output(output: str, *, overwrite: bool = False) -> Iterator[RecordOutput]:
    """A place for records: a .parquet, .jsonl, .csv or .tsv file, or `-` for .jsonl on stdout.

    A file appears under its name when the block ends without an error, and not otherwise. That it
    can be written is known on entering, before there is anything to write.

    Raises:
        DataFileError: if it cannot, exists and is not to be overwritten, or has an unknown suffix.
        MissingExtra: for parquet, where the library for it is not installed.
    """
    if output == _STDOUT:
        out = RecordOutput(".jsonl", Sink(sys.stdout.buffer, "standard output"))
        yield out
        out.finish()
        return
    path = Path(output)
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise DataFileError(
            f"{output}: cannot tell the format to write; supported are {', '.join(_FORMATS)}, "
            "or - for .jsonl on standard output"
        )
    if suffix == ".parquet":
        require_parquet(output)
    with PendingFile(path, overwrite=overwrite) as pending:
        out = RecordOutput(suffix, Sink(pending.file, output))
        try:
            yield out
            out.finish()
        except BaseException:
            out.abandon()
            raise


class _JsonlWriter:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, rows: Rows) -> None:
        for cells in zip(*rows.values(), strict=True):
            record = dict(zip(rows, map(_json_value, cells), strict=True))
            text = json.dumps(record, ensure_ascii=False, allow_nan=False)
            self._sink.write(f"{text}\n".encode())
        self._sink.flush()

    def finish(self) -> None:
        self._sink.flush()


class _TableWriter:
    def __init__(self, sink: Sink, columns: Columns, delimiter: str) -> None:
        self._sink = sink
        self._delimiter = delimiter
        self._write([list(columns)])

    def write(self, rows: Rows) -> None:
        self._write([_cell(cell) for cell in cells] for cells in zip(*rows.values(), strict=True))

    def finish(self) -> None:
        self._sink.flush()

    def _write(self, records: Any) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter, lineterminator="\n").writerows(records)
        self._sink.write(text.getvalue().encode())


class _ParquetWriter:
    def __init__(self, sink: Sink, columns: Columns, metadata: Mapping[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema(
            [pa.field(name, _arrow_type(kind)) for name, kind in columns.items()],
            metadata={f"bothways.{k}".encode(): v.encode() for k, v in metadata.items()},
        )
        self._writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), self._schema)
        self._waiting: list[pa.RecordBatch] = []

    def write(self, rows: Rows) -> None:
        import pyarrow as pa

        columns: list[pa.Array[Any]] = [
            pa.array([_json_value(cell) for cell in rows[field.name]], field.type)
            for field in self._schema
        ]
        self._waiting.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        if sum(batch.nbytes for batch in self._waiting) >= _ROW_GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        waiting, self._waiting = self._waiting, []
        if waiting:
            self._writer.write_table(pa.Table.from_batches(waiting))


def _arrow_type(kind: ColumnType) -> Any:
    import pyarrow as pa

    item = {"text": pa.string(), "number": pa.float32(), "flag": pa.bool_()}
    match kind:
        case "texts" | "lists of texts":
            inner: Any = pa.list_(pa.string())
        case "numbers" | "lists of numbers":
            inner = pa.list_(pa.float32())
        case _:
            return item[kind]
    return pa.list_(inner) if kind.startswith("lists") else inner


def _json_value(cell: Any) -> Any:
    """NaN, which JSON lacks, as null."""
    match cell:
        case float():
            return cell if math.isfinite(cell) else None
        case list():
            return [_json_value(item) for item in cell]
        case _:
            return cell


def _cell(cell: Any) -> Any:
    value = _json_value(cell)
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return value
