"""Parquet input: columns of texts, lists of symbols, series or token ids."""

import contextlib
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from bothways.errors import DataFileError
from bothways.files.columns import ColumnSelection, choose_column, require_column
from bothways.files.formats import STDIN, InputFile
from bothways.files.rows import Place, ReadProgress
from bothways.files.values import parse_id
from bothways.model.inputs import InputKind

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["read_parquet", "read_parquet_records"]

_BATCH_BYTES = 1 << 23
_BATCH_ROWS = 4096
_BUFFER_BYTES = 1 << 20


def read_parquet(
    file: InputFile, read_progress: ReadProgress, kind: InputKind, selection: ColumnSelection
) -> Generator[tuple[str | None, Any, Place]]:
    """Yield the id, value and place of each row. Only the selected columns are read, in batches.

    Raises:
        DataFileError: if the file is damaged or truncated, a column is missing or of the wrong
            type, or a value is null.
    """
    with _opened(file) as parquet:
        yield from _rows(parquet, file, read_progress, kind, selection)


def read_parquet_records(
    file: InputFile, read_progress: ReadProgress, columns: Sequence[str] | None
) -> Generator[tuple[dict[str, Any], Place]]:
    """Yield the fields of each row as JSON values, and its place.

    columns: the columns to read; None for all.

    Raises:
        DataFileError: if the file is damaged or truncated, or a column is missing.
    """
    with _opened(file) as parquet:
        names = parquet.schema_arrow.names
        selected = [
            require_column(file.name, names, column)
            for column in (names if columns is None else dict.fromkeys(columns))
        ]
        for row, batch, i in _each_row(parquet, file, read_progress, selected):
            place = Place(file.name, row)
            yield {name: _plain(batch[name][i], place, name) for name in selected}, place


@contextlib.contextmanager
def _opened(file: InputFile) -> "Iterator[pq.ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.source == STDIN:
        raise DataFileError(
            ".parquet cannot be read from standard input, as its end is read first; give a file"
        )
    try:
        with pq.ParquetFile(file.source, buffer_size=_BUFFER_BYTES, pre_buffer=False) as parquet:
            yield parquet
    except DataFileError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise DataFileError(
            f"{file.name}: damaged, truncated or not a Parquet file: {error}"
        ) from error


def _rows(
    parquet: "pq.ParquetFile",
    file: InputFile,
    read_progress: ReadProgress,
    kind: InputKind,
    selection: ColumnSelection,
) -> Iterator[tuple[str | None, Any, Place]]:
    schema = parquet.schema_arrow
    candidates = [field.name for field in schema if _can_hold(field.type, kind)]
    column = choose_column(file.name, schema.names, candidates, selection)
    convert = _converter(schema.field(column).type, kind, file.name, column)
    ids = selection.id_column
    if ids is not None:
        require_column(file.name, schema.names, ids)

    selected = [column] if ids is None else list({column: None, ids: None})
    for row, batch, i in _each_row(parquet, file, read_progress, selected):
        row_id = None
        if ids is not None:
            names = batch[ids]
            at = Place(file.name, row, field=ids)
            row_id = parse_id(_text(names[i], at) if _is_text(names.type) else names[i].as_py(), at)
        place = Place(file.name, row, field=column)
        yield row_id, convert(batch[column][i], place), place


def _each_row(
    parquet: "pq.ParquetFile", file: InputFile, read_progress: ReadProgress, columns: Sequence[str]
) -> "Iterator[tuple[int, Mapping[str, pa.Array[Any]], int]]":
    """Yield for each row its number from 1, the batch that holds it by column, and its index there.

    A batch has about `_BATCH_BYTES`. The progress is updated with each row.
    """
    size, total = Path(file.source).stat().st_size, max(1, parquet.metadata.num_rows)
    row = 0
    read_progress.follow(lambda: size * row // total)
    for batch in parquet.iter_batches(_batch_rows(parquet, columns), columns=list(columns)):
        arrays = {name: batch.column(name) for name in columns}
        for i in range(batch.num_rows):
            row += 1
            yield row, arrays, i
    read_progress.finish_file()


def _batch_rows(parquet: "pq.ParquetFile", columns: Sequence[str]) -> int:
    """Rows per batch: about `_BATCH_BYTES` of the row group with the largest rows."""
    rows = _BATCH_ROWS
    metadata = parquet.metadata
    for group in range(metadata.num_row_groups):
        chunks = [metadata.row_group(group).column(i) for i in range(metadata.num_columns)]
        size = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.split(".")[0] in columns
        )
        per_row = size / max(1, metadata.row_group(group).num_rows)
        rows = min(rows, math.floor(_BATCH_BYTES / max(1.0, per_row)))
    return max(1, rows)


def _can_hold(type_: "pa.DataType", kind: InputKind) -> bool:
    match kind:
        case "text":
            return _is_text(type_)
        case "symbols":
            return _is_text(type_) or (_is_list(type_) and _is_text(_item(type_)))
        case "series":
            inner = _item(type_) if _is_list(type_) else None
            return inner is not None and _is_number(_item(inner) if _is_list(inner) else inner)
        case unknown:
            assert_never(unknown)


def _converter(
    type_: "pa.DataType", kind: InputKind, name: str, column: str
) -> Callable[["pa.Scalar[Any]", Place], Any]:
    """The function that converts one value of a column of this type to a sequence."""
    import pyarrow.types as types

    if kind == "series":
        if _can_hold(type_, kind):
            return _series
        expected = "lists of numbers, or of lists of numbers"
    elif _is_text(type_):
        return _text
    elif kind == "symbols" and _can_hold(type_, kind):
        return _symbols
    elif _is_list(type_) and types.is_integer(_item(type_)):
        return _ids
    else:
        expected = "text, or lists of " + (
            "symbols or token ids" if kind == "symbols" else "token ids"
        )
    raise DataFileError(f"{name}, column {column!r}: has type {type_}; expected {expected}")


def _plain(value: "pa.Scalar[Any]", place: Place, column: str) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError as error:
        place = place._replace(field=column)
        raise DataFileError(f"{place}: byte {error.start} is not valid UTF-8") from error


def _text(value: "pa.Scalar[Any]", place: Place) -> str:
    try:
        text = value.as_py()
    except UnicodeDecodeError as error:
        raise DataFileError(f"{place}: byte {error.start} is not valid UTF-8") from error
    if text is None:
        raise DataFileError(f"{place}: expected a text, found null")
    return str(text)


def _symbols(value: "pa.Scalar[Any]", place: Place) -> list[str]:
    return [_text(symbol, place) for symbol in _items(value, "symbols", place)]


def _ids(value: "pa.Scalar[Any]", place: Place) -> np.ndarray:
    return _numbers(_items(value, "token ids", place), place).astype(np.int64)


def _series(value: "pa.Scalar[Any]", place: Place) -> np.ndarray:
    items = _items(value, "numbers", place)
    if not _is_list(items.type):
        return _numbers(items, place).astype(np.float64)[:, None]
    positions = [_numbers(_items(position, "numbers", place), place) for position in items]
    for index, position in enumerate(positions):
        if len(position) != len(positions[0]):
            raise DataFileError(
                f"{place}, position {index}: {len(position)} numbers, "
                f"but position 0 has {len(positions[0])}"
            )
    return np.array(positions, dtype=np.float64).reshape(len(positions), -1)


def _items(value: "pa.Scalar[Any]", what: str, place: Place) -> "pa.Array[Any]":
    items: pa.Array[Any] | None = value.values  # type: ignore[attr-defined]
    if items is None:
        raise DataFileError(f"{place}: expected a list of {what}, found null")
    return items


def _numbers(array: "pa.Array[Any]", place: Place) -> np.ndarray:
    if array.null_count:
        missing = array.is_null().to_pylist().index(True)
        raise DataFileError(f"{place}: entry {missing} of the list is null; expected a number")
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _is_text(type_: "pa.DataType") -> bool:
    import pyarrow.types as types

    if types.is_dictionary(type_):
        return _is_text(type_.value_type)
    return types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_)


def _is_list(type_: "pa.DataType") -> bool:
    import pyarrow.types as types

    return types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_)


def _item(type_: "pa.DataType") -> "pa.DataType":
    item: pa.DataType = type_.value_type  # type: ignore[attr-defined]
    return item


def _is_number(type_: "pa.DataType") -> bool:
    import pyarrow.types as types

    return types.is_floating(type_) or types.is_integer(type_)
