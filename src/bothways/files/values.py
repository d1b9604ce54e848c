"""Parsing field values: as a text, symbols or a series, and as an id."""

import datetime
import decimal
import math
import uuid
from typing import Any, assert_never

import numpy as np

from bothways.errors import DataFileError
from bothways.files.decoding import check_decoded
from bothways.files.list_cells import list_cell
from bothways.files.rows import Place
from bothways.model.inputs import InputKind

__all__ = ["can_hold", "describe_value", "parse_id", "parse_value", "spell_id"]


def parse_value(value: Any, kind: InputKind, place: Place) -> Any:
    """Convert a JSON value to what a model of this kind reads.

    text: a str. symbols: a str or a list of str. series: a list of numbers, for one channel, or a
    list of equally long lists, one per position; float64 (length, channels). For symbols and series
    also a text that `list_cells` reads as such a list.

    Raises:
        DataFileError: for anything else; names the place and describes the value.
    """
    match kind:
        case "text":
            if not isinstance(value, str):
                raise DataFileError(f"{place}: expected a text, found {describe_value(value)}")
            return _without_surrogates(value, place)
        case "symbols":
            value = value if (cell := list_cell(value, place, "strings")) is None else cell
            if isinstance(value, list) and all(isinstance(symbol, str) for symbol in value):
                return [_without_surrogates(symbol, place) for symbol in value]
            if not isinstance(value, str):
                raise DataFileError(
                    f"{place}: expected a text or a list of symbols, found {describe_value(value)}"
                )
            return _without_surrogates(value, place)
        case "series":
            cell = list_cell(value, place, "numbers")
            return _series(value if cell is None else cell, place)
        case unknown:
            assert_never(unknown)


def can_hold(value: Any, kind: InputKind) -> bool:
    """Whether a column with this value could hold the sequences."""
    if kind == "series":
        return isinstance(value, list)
    return isinstance(value, str) or (kind == "symbols" and isinstance(value, list))


def parse_id(value: Any, place: Place) -> str:
    """Convert a text, a number, a date, a time or a UUID to an id, as `spell_id` does.

    Raises:
        DataFileError: for anything else.
    """
    if isinstance(value, str):
        return _without_surrogates(value, place)
    spelled = spell_id(value)
    if spelled is None:
        raise DataFileError(
            f"{place}: expected an id: a text, a number, a date, a time or a UUID, found "
            f"{describe_value(value)}"
        )
    return spelled


def spell_id(value: Any) -> str | None:
    """The one spelling of a value as an id; None if it cannot be one.

    A whole number has its digits, and a float the fewest that give it back (`0.1`, `3.0`,
    `1e+22`); a decimal has its digits, without exponent. Dates and times are in ISO 8601
    (`2026-01-31`, `2026-01-31T09:30:00`), with a fraction of a second only if it is not zero, and
    those with a time zone in UTC (`...Z`). A UUID has 32 small hexadecimal digits and dashes.
    """
    match value:
        case bool():
            return None
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case decimal.Decimal() if value.is_finite():
            return format(value, "f")
        case datetime.datetime():
            zone = "" if value.tzinfo is None else "Z"
            if zone:
                value = value.astimezone(datetime.UTC).replace(tzinfo=None)
            iso: str = value.isoformat()
            whole, _, fraction = iso.partition(".")
            return whole + (f".{fraction.rstrip('0')}" if fraction else "") + zone
        case datetime.date():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case _:
            return None


def describe_value(value: Any) -> str:
    """A JSON value, described for a message."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value[:40]!r}"
        case list():
            return f"a list of {len(value)}"
        case _:
            return "an object"


def _without_surrogates(text: str, place: Place) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        check_decoded(text, place)
        raise DataFileError(
            f"{place}: character {error.start} is the lone surrogate "
            f"\\u{ord(text[error.start]):04x}, which is not a character; write the pair, or U+FFFD"
        ) from error
    return text


def _series(value: Any, place: Place) -> np.ndarray:
    expected = "expected a series: a list of numbers, or of equally long lists of numbers"
    if not isinstance(value, list):
        raise DataFileError(f"{place}: {expected}; found {describe_value(value)}")
    nested = bool(value) and isinstance(value[0], list)
    positions = value if nested else [[number] for number in value]
    for position, numbers in enumerate(positions):
        if not isinstance(numbers, list) or len(numbers) != len(positions[0]):
            raise DataFileError(
                f"{place}, position {position}: {expected}; found {describe_value(numbers)}, "
                f"but position 0 has {len(positions[0])} numbers"
            )
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise DataFileError(
                    f"{place}, position {position}: {expected}; found {describe_value(number)}"
                )
    try:
        array = np.array(positions, dtype=np.float64)
    except OverflowError as error:
        raise DataFileError(f"{place}: a number is too large: {error}") from error
    return array.reshape(len(positions), -1) if positions else np.empty((0, 1))
