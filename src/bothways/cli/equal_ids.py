"""Noticing equal ids of rows, in bounded memory."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bothways.cli.console import warn

if TYPE_CHECKING:
    from bothways.files import Row

__all__ = ["IdWatch"]

MAX_IDS = 50_000
"""Ids that are remembered, in about 10 MB: a later row is compared with these."""


class IdWatch:
    """Compares the id of each row with the first `MAX_IDS` ids of the input.

    Ids are compared by their 64-bit hash: a false warning has a probability of about 1e-7 in ten
    million rows.
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[int, int]] = {}  # hash: index of the file, and row
        self._files: list[str] = []
        self._count = 0
        self._first = ""

    def watch(self, rows: "Iterable[Row]") -> "Iterator[Row]":
        """Yield the rows unchanged."""
        for row in rows:
            if row.is_numbered:
                yield row
                continue
            file, number = row.place.file, row.place.row
            if not self._files or self._files[-1] != file:
                self._files.append(file)
            key = hash(row.id)
            if (earlier := self._places.get(key)) is not None:
                self._count += 1
                if self._count == 1:
                    before = f"{self._files[earlier[0]]}, row {earlier[1]}"
                    self._first = f"{row.id!r} in {before} and {file}, row {number}"
            elif len(self._places) < MAX_IDS:
                self._places[key] = len(self._files) - 1, number
            yield row

    def report(self) -> None:
        """Warn of equal ids."""
        if self._count:
            more = len(self._places) == MAX_IDS
            compared = f"; ids after the first {MAX_IDS:,} are not compared" if more else ""
            warn(
                f"rows with the id of an earlier row: {self._count:,}, the first is "
                f"{self._first}{compared}"
            )
