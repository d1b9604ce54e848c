"""Comma- and tab-separated values: a header, then one record per row.

Quoting follows the `excel` dialects of the csv module (RFC 4180, also for tabs), in strict mode: a
misplaced quote is an error, while other readers silently join or split rows. Blank lines at the end
are skipped.
"""

import csv
import itertools
import threading
from collections.abc import Iterable, Iterator

from bothways.errors import DataFileError
from bothways.files.columns import ColumnSelection, choose_column, require_column
from bothways.files.rows import Place

__all__ = ["MAX_FIELD", "read_table", "read_table_records"]

MAX_FIELD = 1 << 28
"""Characters of the longest field. An unclosed quote takes in the rest of the file; this limits the
memory that it takes."""

_field_limit = threading.Lock()


def read_table(
    lines: Iterable[str], name: str, delimiter: str, selection: ColumnSelection
) -> Iterator[tuple[str | None, str, Place]]:
    """Yield the id, text and place of each record; the id is None without a selected id column.

    Raises:
        DataFileError: if a column is missing, a record has more or fewer fields than the header, or
            a quote is misplaced.
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
    """Yield the fields of each record by column, and its place.

    Raises:
        DataFileError: as `read_table` does, or if two columns have the same name.
    """
    rows = _rows(lines, name, delimiter)
    header = next(rows, (Place(name, 0), []))[1]
    for column in header:
        require_column(name, header, column)
    for place, fields in rows:
        yield dict(zip(header, fields, strict=True)), place


def _rows(lines: Iterable[str], name: str, delimiter: str) -> Iterator[tuple[Place, list[str]]]:
    """Yield place and fields of the header (row 0) and of each record, checked for equal length."""
    records = _records(lines, name, delimiter)
    first = next(records, None)
    if first is None:
        return
    line, header = first
    if not header:
        raise DataFileError(f"{name}, line 1: blank; expected the column names")
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
                f"{place}: {_count(fields)}, but the header has {len(header)}; "
                "is a quote or a delimiter missing?"
            )
        yield place, fields


def _records(lines: Iterable[str], name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record starts, and its fields."""
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    for row in itertools.count():  # the header is row 0
        line = reader.line_num + 1
        try:
            fields = _next_record(reader)
        except csv.Error as error:
            where = f"{name}, line {line}" if row == 0 else str(Place(name, row, line))
            raise DataFileError(f"{where}: {_explain(str(error))}") from error
        if fields is None:
            return
        yield line, fields


def _next_record(reader: Iterator[list[str]]) -> list[str] | None:
    # The csv module has one limit for the whole process, by default 131,072 characters. Raising it
    # for this call only leaves it unchanged for other users of the module.
    with _field_limit:
        previous = csv.field_size_limit(MAX_FIELD)
        try:
            return next(reader, None)
        finally:
            csv.field_size_limit(previous)


def _explain(error: str) -> str:
    if "unexpected end of data" in error:
        return "a quoted field is not closed"
    if "new-line character" in error:
        return "a carriage return in an unquoted field; quote the field"
    if "field limit" in error:
        return f"a field of more than {MAX_FIELD:,} characters; is a closing quote missing?"
    return f"{error}; write a quote in a quoted field twice"


def _count(fields: list[str]) -> str:
    return "1 field" if len(fields) == 1 else f"{len(fields)} fields"
