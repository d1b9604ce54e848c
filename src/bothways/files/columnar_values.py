"""Values of Arrow columns: texts, lists of symbols, series, token ids, and ids of rows."""

import functools
import math
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from bothways.errors import DataFileError
from bothways.files.rows import Place
from bothways.files.values import parse_id, spell_id
from bothways.model.inputs import InputKind

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["can_hold", "column_converter", "convert_id", "plain_value"]


def can_hold(type_: "pa.DataType", kind: InputKind) -> bool:
    """Whether a column of this type could hold the sequences."""
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


def column_converter(
    type_: "pa.DataType", kind: InputKind, name: str, column: str
) -> Callable[["pa.Scalar[Any]", Place], Any]:
    """The function that converts one value of a column of this type to a sequence."""
    import pyarrow.types as types

    if kind == "series":
        if can_hold(type_, kind):
            return _series
        expected = "lists of numbers, or of lists of numbers"
    elif _is_text(type_):
        return _text
    elif kind == "symbols" and can_hold(type_, kind):
        return _symbols
    elif _is_list(type_) and types.is_integer(_item(type_)):
        return _ids
    else:
        expected = "text, or lists of " + (
            "symbols or token ids" if kind == "symbols" else "token ids"
        )
    raise DataFileError(f"{name}, column {column!r}: has type {type_}; expected {expected}")


def plain_value(value: "pa.Scalar[Any]", place: Place) -> Any:
    """A value of a column as a JSON value. Dates, times, decimals and UUIDs are spelled as ids.

    Raises:
        DataFileError: if a text is not valid UTF-8.
    """
    spell = _speller(value.type)
    return _as_py(value, place) if spell is None or not value.is_valid else spell(value)


def convert_id(value: "pa.Scalar[Any]", place: Place) -> str:
    """A value of a column of ids, as `spell_id` spells it; 16 bytes are a UUID.

    Raises:
        DataFileError: if it is null, or of another type.
    """
    import pyarrow.types as types

    plain = plain_value(value, place)
    if types.is_float32(value.type) and plain is not None and math.isfinite(plain):
        return str(np.float32(plain))  # as a float64 it would have more digits
    return parse_id(plain, place)


@functools.cache
def _speller(type_: "pa.DataType") -> Callable[[Any], str | None] | None:
    """The function that spells the dates, times, decimals or UUIDs of a column as ids.

    None for another type.
    """
    import pyarrow.types as types

    if types.is_timestamp(type_):
        return _spell_timestamp
    if types.is_fixed_size_binary(type_) and type_.byte_width == 16:
        return lambda value: str(uuid.UUID(bytes=value.as_py()))
    if types.is_date(type_) or types.is_decimal(type_) or str(type_) == "extension<arrow.uuid>":
        return lambda value: spell_id(value.as_py())
    return None


def _spell_timestamp(value: Any) -> str:
    """As `spell_id` does; `as_py` needs pandas for nanoseconds."""
    time = np.datetime_as_string(np.datetime64(value.value, value.type.unit))
    whole, _, fraction = str(time).partition(".")
    digits = fraction.rstrip("0")
    return whole + (f".{digits}" if digits else "") + ("" if value.type.tz is None else "Z")


def _as_py(value: "pa.Scalar[Any]", place: Place) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError as error:
        raise DataFileError(f"{place}: byte {error.start} is not valid UTF-8") from error
    except ValueError as error:  # nanoseconds within a list
        raise DataFileError(f"{place}: {error}") from error


def _text(value: "pa.Scalar[Any]", place: Place) -> str:
    text = _as_py(value, place)
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
