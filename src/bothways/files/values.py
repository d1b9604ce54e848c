"""A field's value as the model needs it: a text, symbols, a series; and as an id."""

from typing import Any, assert_never

import numpy as np

from bothways.errors import DataFileError
from bothways.files.list_cells import list_cell
from bothways.files.rows import Kind, Place

__all__ = ["could_hold", "id_of", "value_of"]


def value_of(value: Any, kind: Kind, place: Place) -> Any:
    """A JSON value as what a model of `kind` reads.

    text: a str. symbols: a str or a list of str. series: a list of numbers, for one channel, or a
    list of equally long lists, one a position; float64 (length, channels). Of symbols and series
    a text may also be a list as `list_cells` reads it.

    Raises:
        DataFileError: for anything else, saying where it stands and what was found.
    """
    match kind:
        case "text":
            if not isinstance(value, str):
                raise DataFileError(f"{place}: expected a text, found {found(value)}")
            return _without_surrogates(value, place)
        case "symbols":
            value = value if (cell := list_cell(value, place, "strings")) is None else cell
            if isinstance(value, list) and all(isinstance(symbol, str) for symbol in value):
                return [_without_surrogates(symbol, place) for symbol in value]
            if not isinstance(value, str):
                raise DataFileError(
                    f"{place}: expected a text or a list of symbols, found {found(value)}"
                )
            return _without_surrogates(value, place)
        case "series":
            cell = list_cell(value, place, "numbers")
            return _series(value if cell is None else cell, place)
        case unknown:
            assert_never(unknown)


def could_hold(value: Any, kind: Kind) -> bool:
    """Whether a column with this value might be the column of the sequences."""
    if kind == "series":
        return isinstance(value, list)
    return isinstance(value, str) or (kind == "symbols" and isinstance(value, list))


def id_of(value: Any, place: Place) -> str:
    """A text or a whole number as an id.

    Raises:
        DataFileError: for anything else.
    """
    if isinstance(value, str):
        return _without_surrogates(value, place)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise DataFileError(f"{place}: expected an id, a text or a whole number, found {found(value)}")


def found(value: Any) -> str:
    """What a JSON value is, for a message."""
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
        raise DataFileError(
            f"{place}: character {error.start} is the lone surrogate "
            f"\\u{ord(text[error.start]):04x}, which is no character; write the pair, or U+FFFD"
        ) from error
    return text


def _series(value: Any, place: Place) -> np.ndarray:
    expected = "expected a series: a list of numbers, or of equally long lists of numbers"
    if not isinstance(value, list):
        raise DataFileError(f"{place}: {expected}; found {found(value)}")
    nested = bool(value) and isinstance(value[0], list)
    positions = value if nested else [[number] for number in value]
    for position, numbers in enumerate(positions):
        if not isinstance(numbers, list) or len(numbers) != len(positions[0]):
            raise DataFileError(
                f"{place}, position {position}: {expected}; found {found(numbers)}, "
                f"where position 0 has {len(positions[0])} numbers"
            )
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise DataFileError(
                    f"{place}, position {position}: {expected}; found {found(number)}"
                )
    try:
        array = np.array(positions, dtype=np.float64)
    except OverflowError as error:
        raise DataFileError(f"{place}: a number is too large: {error}") from error
    return array.reshape(len(positions), -1) if positions else np.empty((0, 1))
