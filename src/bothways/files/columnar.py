"""Parquet and Arrow input: columns of texts, lists of symbols, series or token ids."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bothways.errors import DataFileError
from bothways.files.columnar_files import ColumnarFile, open_columnar
from bothways.files.columnar_values import can_hold, column_converter, convert_id, plain_value
from bothways.files.columns import (
    ColumnChoice,
    ColumnSelection,
    choose_column,
    choose_ids,
    require_column,
)
from bothways.files.formats import InputFile, explain_size
from bothways.files.rows import OnRowError, Place, RawRow, ReadProgress, raise_error
from bothways.model.inputs import InputKind

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_columnar", "read_columnar_records"]


def read_columnar(
    file: InputFile,
    read_progress: ReadProgress,
    kind: InputKind,
    selection: ColumnSelection,
    on_error: OnRowError = raise_error,
) -> Generator[RawRow]:
    """Yield each row; its value is None for null, and kept cells are scalars of pyarrow.

    Only the selected columns are read, in batches.

    Raises:
        DataFileError: if the file is damaged or truncated, or a column is missing or of the wrong
            type.
    """
    with open_columnar(file, read_progress) as columnar:
        schema = columnar.schema
        selection = choose_ids(file.name, schema.names, selection, read_progress)
        yield from _rows(columnar, file, kind, selection, on_error)


def read_columnar_records(
    file: InputFile, read_progress: ReadProgress, columns: ColumnChoice
) -> Generator[tuple[dict[str, Any], Place]]:
    """Yield the fields of each row as JSON values, and its place.

    columns: as in `read_records`.

    Raises:
        DataFileError: if the file is damaged or truncated, or a column is missing.
    """
    with open_columnar(file, read_progress) as columnar:
        names = columnar.schema.names
        chosen = columns(names) if callable(columns) else names if columns is None else columns
        selected = [require_column(file.name, names, column) for column in dict.fromkeys(chosen)]
        for row, batch, i in _each_row(columnar, selected):
            place = Place(file.name, row)
            fields = {
                name: plain_value(batch[name][i], place._replace(field=name)) for name in selected
            }
            yield fields, place


def _rows(
    columnar: ColumnarFile,
    file: InputFile,
    kind: InputKind,
    selection: ColumnSelection,
    on_error: OnRowError,
) -> Iterator[RawRow]:
    schema = columnar.schema
    candidates = [field.name for field in schema if can_hold(field.type, kind)]
    column = choose_column(file.name, schema.names, candidates, selection)
    convert = column_converter(schema.field(column).type, kind, file.name, column)
    ids = selection.id_column
    if ids is not None:
        require_column(file.name, schema.names, ids)

    kept = selection.kept_columns(file.name, schema.names, [column])
    selected = list(dict.fromkeys([column, *([] if ids is None else [ids]), *kept]))
    first = 0 if file.part is None else file.part.row
    for row, batch, i in _each_row(columnar, selected, first):
        place = Place(file.name, row, field=column)
        cells = {name: batch[name][i] for name in kept}
        row_id = value = None
        try:
            if batch[column][i].is_valid:
                value = convert(batch[column][i], place)
                _check_size(value, file, place)
            if ids is not None and (value is not None or selection.all_ids):
                row_id = convert_id(batch[ids][i], Place(file.name, row, field=ids))
        except DataFileError as error:
            on_error(error, place)
            continue
        yield RawRow(row_id, value, place, cells)


def _check_size(value: Any, file: InputFile, place: Place) -> None:
    if isinstance(value, str) and len(value) > file.max_row_size:
        raise DataFileError(f"{place}: {explain_size('a text', file.max_row_size)}")


def _each_row(
    columnar: ColumnarFile, columns: Sequence[str], first: int = 0
) -> "Iterator[tuple[int, Mapping[str, pa.Array[Any]], int]]":
    """Yield for each row its number from 1, the batch that holds it by column, and its index there.

    first: number of rows that are left out. The progress is updated with each row.
    """
    columnar.rows_read = first
    for batch in columnar.batches(columns, first):
        arrays = {name: batch.column(name) for name in columns}
        for i in range(batch.num_rows):
            columnar.rows_read += 1
            yield columnar.rows_read, arrays, i
