"""A row of input, its place in the input, and the progress of reading."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from bothways.errors import DataFileError
from bothways.files.formats import InputFile

__all__ = ["OnRowError", "Place", "RawRow", "ReadProgress", "Row", "raise_error"]

_NO_CELLS: Mapping[str, Any] = MappingProxyType({})


class Place(NamedTuple):
    """Where a value is in the input, for messages.

    row: counted from 1, without headers. line: the line on which the row starts, if the two may
    differ. field: the column, if the format has columns.
    """

    file: str
    row: int
    line: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        """As in messages: `data.csv, row 3 (line 5), column 'text'`."""
        line = "" if self.line is None or self.line == self.row else f" (line {self.line})"
        field = "" if self.field is None else f", column {self.field!r}"
        return f"{self.file}, row {self.row}{line}{field}"


OnRowError = Callable[[DataFileError, Place], None]
"""Called with an error that concerns one row only. If it returns, reading goes on after the row."""


def raise_error(error: DataFileError, place: Place) -> None:
    """Let the first error of a row end the reading."""
    raise error


class RawRow(NamedTuple):
    """A row as a reader of one format yields it.

    id: None without a column of ids. value: None if it is missing. cells: see `Row`.
    """

    id: str | None
    value: Any
    place: Place
    cells: Mapping[str, Any] = _NO_CELLS


class Row(NamedTuple):
    """One sequence to encode, with its id and place.

    value: a str; for symbols also a list of str; for series float64 (length, channels); for token
        ids from .parquet int64 (length,); for a pair a tuple of two str.
    cells: of the other columns to keep, by name: JSON values, or scalars of pyarrow.
    is_numbered: whether the id is the row's number, as the input has no ids.
    """

    id: str
    value: Any
    place: Place
    cells: Mapping[str, Any] = _NO_CELLS
    is_numbered: bool = False


class ReadProgress:
    """The progress of reading, as a fraction of the bytes of all files. Readers update it.

    delimiters: of .csv files, by name, where a reader detected another one than a comma.
    missing: number of rows without a value that were skipped or read as empty texts, and
        first_missing: the place of the first of them.
    id_columns: the columns of ids by file, where a reader chose one.
    """

    def __init__(self, sources: Sequence[str | InputFile]) -> None:
        paths = [Path(source if isinstance(source, str) else source.source) for source in sources]
        are_files = all(path.is_file() for path in paths)  # no pipe, no standard input
        self._total = sum(path.stat().st_size for path in paths) if are_files else None
        self._done = 0
        self._position: Callable[[], int] = lambda: 0
        self.delimiters: dict[str, str] = {}
        self.id_columns: dict[str, str] = {}
        self.missing = 0
        self.first_missing: Place | None = None

    def count_missing(self, place: Place) -> None:
        """Count a row without a value."""
        self.missing += 1
        self.first_missing = self.first_missing or place

    def follow(self, position: Callable[[], int]) -> None:
        """Use `position` to ask how many bytes of the current file have been read."""
        self._position = position

    def finish_file(self) -> None:
        """Count the current file as read."""
        self._done += self._position()
        self._position = lambda: 0

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None if the total size is unknown."""
        if not self._total:
            return None
        return min(1.0, (self._done + self._position()) / self._total)
