"""Writers of records, one batch at a time: rows of named columns.

.parquet     columns of the given types; the model and settings in the schema's metadata
.jsonl       one object per row
.csv, .tsv   a header, then one record per row; lists are written as JSON
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, assert_never

from bothways.files.kept_cells import NO_CELLS, KeptCells
from bothways.files.row_groups import RowGroupWriter
from bothways.files.sink import Sink
from bothways.io.printable import escape_in_json

__all__ = [
    "ColumnType",
    "ColumnTypes",
    "JsonlRecordWriter",
    "ParquetRecordWriter",
    "RecordBatch",
    "RecordWriter",
    "TableRecordWriter",
]

ColumnType = Literal["text", "number", "integer", "flag", "texts", "numbers", "integers",
                     "lists of texts", "lists of numbers"]  # fmt: skip
"""The type of a column's cells. A cell may be None, and so may a text or a number in a list."""

ColumnTypes = Mapping[str, ColumnType]
RecordBatch = Mapping[str, Sequence[Any]]
"""Cells by column, the same number for every column."""


class RecordWriter(Protocol):
    """Writes records to one file."""

    def write(self, batch: RecordBatch, kept: KeptCells = NO_CELLS) -> None:
        """Add records, with cells that are copied from the input."""

    def finish(self) -> None:
        """Write the end of the file."""


class JsonlRecordWriter:
    """Writes one JSON object per line."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, batch: RecordBatch, kept: KeptCells = NO_CELLS) -> None:
        """Write records and flush, so that a pipe passes them on at once."""
        self._sink.write_lines(self._lines({**batch, **kept.json_columns()}))

    def finish(self) -> None:
        """Flush."""
        self._sink.flush()

    def _lines(self, batch: RecordBatch) -> Iterator[str]:
        for cells in zip(*batch.values(), strict=True):
            record = dict(zip(batch, map(_json_value, cells), strict=True))
            document = json.dumps(record, ensure_ascii=self._sink.ascii_only, allow_nan=False)
            yield escape_in_json(document)


class TableRecordWriter:
    """Writes comma- or tab-separated values with a header.

    Every name in the header of tab-separated values is quoted: this tells the reader that fields
    are quoted where they need it.
    """

    def __init__(self, sink: Sink, columns: ColumnTypes, delimiter: str) -> None:
        self._sink = sink
        self._delimiter = delimiter
        self._columns: list[str] | None = list(columns)  # None once the header is written

    def write(self, batch: RecordBatch, kept: KeptCells = NO_CELLS) -> None:
        """Write records."""
        self._write_header(list(kept.columns))
        cells_by_row = zip(*batch.values(), *kept.json_columns().values(), strict=True)
        self._write_rows([_table_cell(cell) for cell in cells] for cells in cells_by_row)

    def finish(self) -> None:
        """Write the header of a file without records, and flush."""
        self._write_header([])
        self._sink.flush()

    def _write_header(self, kept: list[str]) -> None:
        if self._columns is not None:
            self._write_rows(
                [[*self._columns, *kept]],
                csv.QUOTE_ALL if self._delimiter == "\t" else csv.QUOTE_MINIMAL,
            )
            self._columns = None

    def _write_rows(
        self, rows: Iterable[list[Any]], quoting: Literal[0, 1] = csv.QUOTE_MINIMAL
    ) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self._delimiter, lineterminator="\n", quoting=quoting)
        writer.writerows(rows)
        self._sink.write(text.getvalue().encode())


class ParquetRecordWriter:
    """Writes Parquet in row groups of about 8 MiB."""

    def __init__(self, sink: Sink, columns: ColumnTypes, metadata: Mapping[str, str]) -> None:
        import pyarrow as pa

        schema = pa.schema(
            [pa.field(name, _arrow_type(column_type)) for name, column_type in columns.items()],
            metadata={f"bothways.{k}".encode(): v.encode() for k, v in metadata.items()},
        )
        self._row_groups = RowGroupWriter(sink, schema)

    def write(self, batch: RecordBatch, kept: KeptCells = NO_CELLS) -> None:
        """Add records; they reach the file when a row group is full."""
        import pyarrow as pa

        self._row_groups.write(
            [
                pa.array([_json_value(cell) for cell in batch[field.name]], field.type)
                for field in self._row_groups.schema
            ],
            kept,
        )

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._row_groups.finish()


def _arrow_type(column_type: ColumnType) -> Any:
    import pyarrow as pa

    match column_type:
        case "text":
            return pa.string()
        case "number":
            return pa.float32()
        case "integer":
            return pa.int64()
        case "flag":
            return pa.bool_()
        case "texts":
            return pa.list_(pa.string())
        case "numbers":
            return pa.list_(pa.float32())
        case "integers":
            return pa.list_(pa.int64())
        case "lists of texts":
            return pa.list_(pa.list_(pa.string()))
        case "lists of numbers":
            return pa.list_(pa.list_(pa.float32()))
        case unknown:
            assert_never(unknown)


def _json_value(cell: Any) -> Any:
    """The cell with null for NaN and infinities, which JSON does not have."""
    match cell:
        case float():
            return cell if math.isfinite(cell) else None
        case list():
            return [_json_value(item) for item in cell]
        case _:
            return cell


def _table_cell(cell: Any) -> Any:
    value = _json_value(cell)
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return value
