"""Comma- and tab-separated values: a header, then one row a record.

Quoting is that of the csv module's `excel` dialects (RFC 4180, also for tabs), read strictly: a
quote out of place is an error, where other readers silently join or split rows. Blank lines at the
end are skipped.
"""

import csv
import itertools
import os
import threading
from collections.abc import Iterable, Iterator

from bothways.errors import DataFileError
from bothways.files.columns import Selection, choose_column, require_column
from bothways.files.rows import Place

__all__ = ["MAX_FIELD", "read_table", "read_table_records"]

MAX_FIELD = 1 << 28
"""The longest field that is read, in characters. A quote that is never closed swallows the rest of
a file; this bounds the memory it takes."""

_field_limit = threading.Lock()


def _renew_lock() -> None:
    """Replace the lock, which another thread of the parent may have held."""
    global _field_limit
    _field_limit = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def read_table(
    lines: Iterable[str], name: str, delimiter: str, selection: Selection
) -> Iterator[tuple[str | None, str, Place]]:
    """The id, text and place of each record; the id is None where no column of ids is named.

    Raises:
        DataFileError: for a missing column, a record of more or fewer fields than the header, or a
            quote out of place.
    """
    rows = _rows(lines, name, delimiter)
    header = next(rows, (Place(name, 0), None))[1]
    if header is None:
        return  # an empty file
    column = header.index(choose_column(name, header, header, selection))
    ids = None
    if selection.id_column is not None:
        ids = header.index(require_column(name, header, selection.id_column))
    for place, fields in rows:
        place = place._replace(field=header[column])
        yield (None if ids is None else fields[ids]), fields[column], place


def read_table_records(
    lines: Iterable[str], name: str, delimiter: str
) -> Iterator[tuple[dict[str, str], Place]]:
    """All fields of each record by their column, and its place.

    Raises:
        DataFileError: as `read_table` does, and for columns of one name.
    """
    rows = _rows(lines, name, delimiter)
    header = next(rows, (Place(name, 0), []))[1]
    for column in header:
        require_column(name, header, column)
    for place, fields in rows:
        yield dict(zip(header, fields, strict=True)), place


def _rows(lines: Iterable[str], name: str, delimiter: str) -> Iterator[tuple[Place, list[str]]]:
    """Place and fields of the header, row 0, and of each record, which has as many."""
    records = _records(lines, name, delimiter)
    first = next(records, None)
    if first is None:
        return
    line, header = first
    if not header:
        raise DataFileError(f"{name}, line 1: blank; expected the names of the columns")
    yield Place(name, 0, line), header
    blank: Place | None = None
    for row, (line, fields) in enumerate(records, 1):
        place = Place(name, row, line)
        if not fields:
            blank = blank or place
            continue
        if blank:
            raise DataFileError(f'{blank}: blank; an empty text is written ""')
        if len(fields) != len(header):
            raise DataFileError(
                f"{place}: {_count(fields)}, where the header has {len(header)}; "
                "is a quote or a delimiter missing?"
            )
        yield place, fields


def _records(lines: Iterable[str], name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The line each record starts on, and its fields."""
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    for row in itertools.count():  # the header is row 0
        line = reader.line_num + 1
        try:
            fields = _next_record(reader)
        except csv.Error as error:
            where = f"{name}, line {line}" if row == 0 else str(Place(name, row, line))
            raise DataFileError(f"{where}: {_explained(str(error))}") from error
        if fields is None:
            return
        yield line, fields


def _next_record(reader: Iterator[list[str]]) -> list[str] | None:
    # The csv module has one limit for the whole process, by default 131,072 characters. It is
    # raised for this one call, so that other users of the module find it as they left it.
    with _field_limit:
        others = csv.field_size_limit(MAX_FIELD)
        try:
            return next(reader, None)
        finally:
            csv.field_size_limit(others)


def _explained(error: str) -> str:
    if "unexpected end of data" in error:
        return "a quoted field is never closed"
    if "new-line character" in error:
        return "a carriage return inside a field without quotes; quote the field"
    if "field limit" in error:
        return f"a field of more than {MAX_FIELD:,} characters; is a closing quote missing?"
    return f"{error}; a quote inside a quoted field is written twice"


def _count(fields: list[str]) -> str:
    return "1 field" if len(fields) == 1 else f"{len(fields)} fields"
