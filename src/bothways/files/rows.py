"""A row of input, where it came from, and how far reading has come."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

__all__ = ["Kind", "Meter", "Place", "Row"]

Kind = Literal["text", "symbols", "series"]
"""What a model reads, and so what a row must hold."""


class Place(NamedTuple):
    """Where a value stands, for messages.

    row: counted from 1, headers not counted. line: the line it starts on, where that may differ.
    field: the column, where there are columns.
    """

    file: str
    row: int
    line: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        """As messages say it: `data.csv, row 3 (line 5), column 'text'`."""
        line = "" if self.line is None or self.line == self.row else f" (line {self.line})"
        field = "" if self.field is None else f", column {self.field!r}"
        return f"{self.file}, row {self.row}{line}{field}"


class Row(NamedTuple):
    """One sequence: its name, what to encode, and where it stands.

    value: a str; for symbols also a list of str; for series float64 (length, channels); ids from
        .parquet int64 (length,).
    """

    id: str
    value: Any
    place: Place


class Meter:
    """How far reading has come, as a share of the bytes of all files; readers move it."""

    def __init__(self, sources: Sequence[str]) -> None:
        known = all(Path(source).is_file() for source in sources)  # not stdin, not a pipe
        self._total = sum(Path(source).stat().st_size for source in sources) if known else None
        self._done = 0
        self._position: Callable[[], int] = lambda: 0

    def follow(self, position: Callable[[], int]) -> None:
        """Ask `position` for the bytes read of the file that is being read."""
        self._position = position

    def finish(self) -> None:
        """Count the file that was being read as done."""
        self._done += self._position()
        self._position = lambda: 0

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where the total is not known."""
        if not self._total:
            return None
        return min(1.0, (self._done + self._position()) / self._total)
