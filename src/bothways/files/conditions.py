"""Conditions on the columns of a file of vectors: which rows a search reads."""

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from bothways.errors import DataFileError, InputError
from bothways.files.columns import format_names
from bothways.files.vector_file import VectorFile

__all__ = ["Condition", "find_row", "select_rows"]


class Condition(NamedTuple):
    """The value of a column in the rows to search, as a text."""

    column: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `COLUMN=VALUE`; the value may hold further `=`.

        Raises:
            InputError: if there is no `=`, or no column before it.
        """
        column, equals, value = text.partition("=")
        if not (column and equals):
            raise InputError(f"{text!r}: expected COLUMN=VALUE, such as language=en")
        return cls(column, value)


def select_rows(file: VectorFile, conditions: Sequence[Condition]) -> np.ndarray | None:
    """Whether each row fulfils the conditions, (rows,); None for no conditions.

    Conditions on one column are alternatives, and one of them must hold for each column. A number
    equals its value in any spelling, a flag is `true` or `false`, a date is as in ISO 8601, and a
    missing value equals nothing.

    Raises:
        DataFileError: if the file has no such column, or the column holds lists or objects.
    """
    selected: np.ndarray | None = None
    for column in dict.fromkeys(condition.column for condition in conditions):
        if column not in file.columns:
            raise DataFileError(
                f"{file.name}: no column {column!r}; it has {format_names(file.columns)}"
            )
        accepted = _Values([item.value for item in conditions if item.column == column])
        place = f"{file.name}, column {column!r}"
        mask = np.fromiter(
            (accepted.contain(value, place) for value in file.read_column(column)), bool
        )
        selected = mask if selected is None else selected & mask
    return selected


def find_row(file: VectorFile, row_id: str) -> int:
    """The number of the row with an id.

    Raises:
        DataFileError: if no row has it, or several rows do.
    """
    if "id" not in file.columns:
        raise DataFileError(f"{file.name}: no column 'id'; it has {format_names(file.columns)}")
    rows = [row for row, value in enumerate(file.read_column("id")) if str(value) == row_id]
    if not rows:
        raise DataFileError(f"{file.name}: no row has the id {row_id!r}")
    if len(rows) > 1:
        raise DataFileError(
            f"{file.name}: {len(rows)} rows have the id {row_id!r}, the first of them are rows "
            f"{rows[0] + 1} and {rows[1] + 1}"
        )
    return rows[0]


class _Values:
    """Values as the user spelled them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = frozenset(texts)
        self._numbers = set()
        for text in texts:
            with contextlib.suppress(ValueError):
                self._numbers.add(float(text))

    def contain(self, value: Any, place: str) -> bool:
        match value:
            case None:
                return False
            case bool():
                return str(value).lower() in self._texts
            case int() | float():
                return str(value) in self._texts or value in self._numbers
            case str():
                return value in self._texts
            case list() | dict() | bytes():
                raise DataFileError(f"{place}: holds lists, objects or bytes, not single values")
            case _:
                return bool({str(value), _iso(value)} & self._texts)


def _iso(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
