"""Containers of sequences: data frames, tables, columns and arrays of texts, as lists of sequences.

Data frames and tables are recognized by their interfaces, so that pandas, polars and pyarrow need
not be installed. L positions of a series; C channels.
"""

import os
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.sequences import SequenceReader
from bothways.sequences.reader import type_name

__all__ = [
    "as_array_if_numeric",
    "as_array_if_series",
    "holds_lists",
    "is_table",
    "rows_of",
    "table_as_series",
]

_EXPECTED = "expected a sequence, or an iterable of sequences"


def is_table(value: Any) -> bool:
    """Whether a value is a table with named columns: of pandas, polars, pyarrow, or one like them.

    A NumPy array is none, whatever its shape, and neither is a LazyFrame of polars.
    """
    if _is_lazy(value):
        return False
    names = getattr(value, "column_names", getattr(value, "columns", None))
    return names is not None and not callable(names) and not isinstance(value, np.ndarray)


def holds_lists(table: Any) -> bool:
    """Whether the table has a single column whose values are lists, such as a series in each."""
    columns = _columns(table)
    values = _as_list(columns[0][:1]) if len(columns) == 1 else []
    return bool(values) and isinstance(values[0], list | tuple | np.ndarray)


def rows_of(value: Any, reader: SequenceReader | None, *, pairs: bool) -> list[Any]:
    """The sequences in a container, as a list.

    A table of one column holds the sequences in it; a table of two columns holds pairs of texts, if
    `pairs`. The same applies to an array of strings (n, columns), except that a model of symbols
    reads each row as a list of symbols. A missing value is refused.

    Raises:
        InputError: if the value contains no sequences, or naming the row whose value is missing.
    """
    _refuse_what_is_no_container(value)
    if is_table(value):
        rows = _rows_of_table(value, pairs=pairs)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "OSTU" and value.ndim > 1:
        rows = _rows_of_array(value, reader, pairs=pairs)
    else:
        rows = _as_list(value)
    _refuse_missing(rows)
    return rows


def table_as_series(table: Any) -> np.ndarray:
    """A table of numbers as one series, (L, C): a row for each position, a column for each channel.

    Raises:
        InputError: naming the column that does not hold numbers, or has missing values.
    """
    columns = []
    for name, column in zip(_column_names(table), _columns(table), strict=True):
        array = np.asarray(column)
        if array.dtype.kind not in "fiu":
            try:
                array = array.astype(np.float64)
            except (TypeError, ValueError):
                raise InputError(
                    f"column {name!r} has missing values or values that are not numbers; "
                    "expected a table of numbers, a row for each position"
                ) from None
        columns.append(array)
    return np.stack(columns, axis=1)


def as_array_if_numeric(value: Any) -> Any:
    """A tensor, a column or a table of numbers as a NumPy array; anything else unchanged.

    For a series, or ids, that are not a NumPy array.
    """
    if is_table(value):
        return table_as_series(value)
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # a torch tensor
        value = value.detach().cpu()
    if isinstance(value, str | bytes | list | tuple | np.ndarray) or not hasattr(
        value, "__array__"
    ):
        return value
    array = np.asarray(value)
    return array if array.dtype.kind in "fiu" else value


def as_array_if_series(value: Any) -> Any:
    """A tensor, or another array of two dimensions or more, as a NumPy array of series.

    Anything else is unchanged: a column, for example, holds a series in each row.
    """
    if hasattr(value, "to_numpy_ndarray"):  # pyarrow, of arrays of one shape
        return value.to_numpy_ndarray()
    if getattr(value, "ndim", 0) > 1 and not is_table(value):
        return as_array_if_numeric(value.to_numpy() if hasattr(value, "to_numpy") else value)
    return value


def _refuse_what_is_no_container(value: Any) -> None:
    """Raise for a value that has no sequences, or has them in no order."""
    match value:
        case bytes() | bytearray() | memoryview():
            raise InputError(
                f"got {type_name(value)}; expected a str: decode it first, as in "
                "value.decode('utf-8')"
            )
        case os.PathLike():
            raise InputError(
                f"got the path {os.fspath(value)}; {_EXPECTED}: read the file first, or encode it "
                "with the command `bothways encode`"
            )
        case Mapping():
            keys = ", ".join(repr(key) for key in list(value)[:5])
            raise InputError(
                f"got a {type_name(value)} with the keys {keys or 'none'}; {_EXPECTED}: pass one "
                "of its values, such as data['text'], or pairs as list(zip(data['a'], data['b']))"
            )
        case Set():
            raise InputError(f"got a {type_name(value)}, which has no order; pass a list")
    if _is_lazy(value):
        raise InputError(f"got a {type_name(value)}; collect it, and pass one of its columns")
    if is_table(value):
        return
    if not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise InputError(f"got {type_name(value)}; {_EXPECTED}")


def _is_lazy(value: Any) -> bool:
    """Whether a value is a LazyFrame of polars."""
    return hasattr(value, "collect") and hasattr(value, "lazy")


def _rows_of_table(table: Any, *, pairs: bool) -> list[Any]:
    columns = _columns(table)
    if len(columns) == 1:
        return _as_list(columns[0])
    if len(columns) == 2 and pairs:
        first, second = (_as_list(column) for column in columns)
        _refuse_missing(first)
        _refuse_missing(second)
        return list(zip(first, second, strict=True))
    names = _column_names(table)
    shown = ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
    take_pairs = ", or two columns of texts, such as table[['a', 'b']], for pairs" if pairs else ""
    raise InputError(
        f"got a table of {len(names)} columns ({shown}); "
        f"pass one column, such as table['text']{take_pairs}"
    )


def _rows_of_array(array: np.ndarray, reader: SequenceReader | None, *, pairs: bool) -> list[Any]:
    rows: list[Any] = array.tolist()
    if reader is not None and reader.kind != "text":
        return rows
    if array.ndim == 2 and array.shape[1] == 1:
        return [row[0] for row in rows]
    if array.ndim == 2 and array.shape[1] == 2 and pairs:
        _refuse_missing([part for row in rows for part in row], parts=2)
        return [tuple(row) for row in rows]
    take_pairs = ", or (n, 2) for pairs" if pairs else ""
    raise InputError(
        f"got an array of strings of shape {array.shape}; expected shape (n,){take_pairs}: "
        "pass one column, such as array[:, 0]"
    )


def _column_names(table: Any) -> list[Any]:
    return list(table.column_names if hasattr(table, "column_names") else table.columns)


def _columns(table: Any) -> list[Any]:
    """The columns in order; two may have the same name."""
    names = _column_names(table)
    if hasattr(table, "iloc"):  # pandas
        return [table.iloc[:, index] for index in range(len(names))]
    if hasattr(table, "to_pydict"):  # pyarrow
        return [table.column(index) for index in range(len(names))]
    return [table[name] for name in names]


def _as_list(values: Any) -> list[Any]:
    """A column, an array or another iterable as a list of Python objects."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "OSTU":
        rows: list[Any] = values.tolist()
        return rows
    for method in ("to_pylist", "to_list"):  # pyarrow; pandas and polars
        if hasattr(values, method):
            return list(getattr(values, method)())
    return list(values)


def _refuse_missing(rows: list[Any], *, parts: int = 1) -> None:
    """Raise at the first missing value: None, NaN, or NA and NaT of pandas.

    parts: values of each row.
    """
    for index, row in enumerate(rows):
        if isinstance(row, str):
            continue
        if row is None or type(row).__name__ in ("NAType", "NaTType") or _is_nan(row):
            raise InputError(
                f"got {row}, a missing value; expected a sequence: drop the row, or fill the gap",
                sequence=index // parts,
            )


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(value != value)
