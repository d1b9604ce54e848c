"""Comma- and tab-separated values: a header, then one record per row.

`detect_dialect` finds the delimiter, and whether fields are quoted. Quoting is that of RFC 4180, in
strict mode: a misplaced quote is an error, while other readers silently join or split rows. Blank
lines at the end are not rows; the fields of a blank line between rows are empty.
"""

import csv
import itertools
import os
import re
import threading
import warnings
from collections.abc import Iterable, Iterator

from bothways.errors import DataFileError
from bothways.files.columns import ColumnSelection, choose_column, choose_ids, require_column
from bothways.files.dialects import Dialect, check_header, describe_delimiter, detect_dialect
from bothways.files.formats import InputFile, explain_size
from bothways.files.missing import blank_as_missing, require_id
from bothways.files.rows import OnRowError, Place, RawRow, ReadProgress, raise_error

__all__ = ["read_table", "read_table_records", "row_numbers"]

_QUOTED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')
"""A field that contains quotation marks, as quoting writes it."""
_READ_QUOTED = "if fields are quoted, use --input-format csv --delimiter tab"

_field_limit = threading.Lock()


def _renew_lock() -> None:
    """Replace the lock, which another thread of the parent may have held."""
    global _field_limit
    _field_limit = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def read_table(
    lines: Iterable[str],
    file: InputFile,
    selection: ColumnSelection,
    read_progress: ReadProgress,
    on_error: OnRowError = raise_error,
) -> Iterator[RawRow]:
    """Yield the text of each record, with its id, if there is a column of ids, and kept cells.

    Raises:
        DataFileError: if a column is missing, a record has more or fewer fields than the header, or
            a quote is misplaced.
    """
    name = file.name
    rows = _rows(lines, file, read_progress, on_error)
    header = next(rows, (Place(name, 0), None))[1]
    if header is None:
        return  # an empty file
    selection = choose_ids(name, header, selection, read_progress)
    column = header.index(choose_column(name, header, header, selection))
    ids = None
    if selection.id_column is not None:
        ids = header.index(require_column(name, header, selection.id_column))
    names = selection.kept_columns(name, header, [header[column]])
    kept = [(each, header.index(each)) for each in names]
    for place, fields in rows:
        place = place._replace(field=header[column])
        row_id = None if ids is None else fields[ids]
        is_missing = blank_as_missing(fields[column]) is None
        if row_id is not None and (selection.all_ids or not is_missing):
            try:
                require_id(row_id, place._replace(field=selection.id_column))
            except DataFileError as error:
                on_error(error, place)
                continue
        yield RawRow(row_id, fields[column], place, {each: fields[i] for each, i in kept})


def read_table_records(
    lines: Iterable[str], file: InputFile, read_progress: ReadProgress
) -> Iterator[tuple[dict[str, str], Place]]:
    """Yield the fields of each record by column, and its place.

    Raises:
        DataFileError: as `read_table` does, or if two columns have the same name.
    """
    rows = _rows(lines, file, read_progress, raise_error)
    header = next(rows, (Place(file.name, 0), []))[1]
    for column in header:
        require_column(file.name, header, column)
    for place, fields in rows:
        yield dict(zip(header, fields, strict=True)), place


def row_numbers(
    lines: Iterable[str], file: InputFile, on_error: OnRowError
) -> Iterator[tuple[int, bool]]:
    """Yield the number of the header (0) and of each record, and whether the record is blank.

    A line is taken from `lines` when its record is asked for, and none after it. Records with
    misplaced quotes are left out, and their errors go to `on_error`.
    """
    dialect, lines = detect_dialect(lines, file)
    for row, _, fields in _records(lines, file, dialect, on_error):
        yield row, not fields


def _rows(
    lines: Iterable[str], file: InputFile, read_progress: ReadProgress, on_error: OnRowError
) -> Iterator[tuple[Place, list[str]]]:
    """Yield place and fields of the header (row 0) and of each record, checked for equal length."""
    name = file.name
    dialect, lines = detect_dialect(lines, file)
    records = _records(lines, file, dialect, on_error)
    first = next(records, None)
    if first is None:
        return
    _, line, header = first
    if not header:
        raise DataFileError(f"{name}, line {line}: blank; expected the column names")
    check_header(name, header, dialect)
    if file.format == "csv" and file.delimiter is None and dialect.delimiter != ",":
        read_progress.delimiters[name] = describe_delimiter(dialect.delimiter)
    yield Place(name, 0, line), header
    body = _check_records(records, name, len(header), dialect, on_error)
    yield from body if dialect.quoted else _warn_of_quoting(body)


def _check_records(
    records: Iterator[tuple[int, int, list[str]]],
    name: str,
    num_columns: int,
    dialect: Dialect,
    on_error: OnRowError,
) -> Iterator[tuple[Place, list[str]]]:
    unclosed: Place | None = None  # the last row, if it ends in a literal field that opens a quote
    num_blank = 0
    for row, line, fields in records:
        place = Place(name, row, line)
        if not fields:
            num_blank += 1
            continue
        for back in range(num_blank, 0, -1):
            yield Place(name, row - back, line - back), [""] * num_columns
        num_blank = 0
        opens = not dialect.quoted and _is_unclosed(fields[-1])
        if len(fields) != num_columns:
            suspect = unclosed or (place if opens else None)
            error = DataFileError(
                f"{place}: {_count(fields)}, but the header has {num_columns}; "
                f"{_explain_length(dialect, suspect)}"
            )
            on_error(error, place)
            continue
        unclosed = place if opens else None
        yield place, fields


def _warn_of_quoting(
    records: Iterator[tuple[Place, list[str]]],
) -> Iterator[tuple[Place, list[str]]]:
    """Warn once if a literal field looks like a quoted one."""
    warned = False
    for place, fields in records:
        if not warned and any(map(_QUOTED.fullmatch, fields)):
            warned = True
            warnings.warn(
                f"{place}: quotation marks of .tsv are read as text; {_READ_QUOTED}", stacklevel=2
            )
        yield place, fields


def _records(
    lines: Iterable[str], file: InputFile, dialect: Dialect, on_error: OnRowError
) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the number of each record, the line on which it starts, and its fields."""
    reader = csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
        strict=True,
    )
    lines_before = dialect.lines_before
    for index in itertools.count():  # the header is row 0
        row = index if index == 0 else index + file.rows_before
        line = reader.line_num + 1 + lines_before
        try:
            fields = _next_record(reader, file.max_row_size)
        except csv.Error as error:
            if row == 0:
                where = f"{file.name}, line {line}"
                raise DataFileError(f"{where}: {_explain(str(error), dialect, file)}") from error
            place = Place(file.name, row, line)
            refused = DataFileError(f"{place}: {_explain(str(error), dialect, file)}")
            refused.__cause__ = error
            on_error(refused, place)
            continue
        if fields is None:
            return
        yield row, line, fields
        if index == 0 and file.part is not None and file.part.offset is not None:
            lines_before += file.part.line - file.part.header_lines


def _next_record(reader: Iterator[list[str]], longest: int) -> list[str] | None:
    # The csv module has one limit for the whole process, by default 131,072 characters. Setting it
    # for this call only leaves it unchanged for other users of the module.
    with _field_limit:
        previous = csv.field_size_limit(longest)
        try:
            return next(reader, None)
        finally:
            csv.field_size_limit(previous)


def _explain(error: str, dialect: Dialect, file: InputFile) -> str:
    if "unexpected end of data" in error:
        return "a quoted field is not closed"
    if "new-line character" in error:
        if not dialect.quoted:
            return f"a carriage return in a field; {_READ_QUOTED}"
        return "a carriage return in an unquoted field; quote the field"
    if "field limit" in error:
        return f"{explain_size('a field', file.max_row_size)}; or is a closing quote missing?"
    return f"{error}; write a quote in a quoted field twice"


def _explain_length(dialect: Dialect, unclosed: Place | None) -> str:
    if unclosed is not None:
        return (
            f"a quoted field that spans lines seems to begin in row {unclosed.row}; {_READ_QUOTED}"
        )
    if dialect.detected and dialect.quoted and dialect.delimiter != ",":
        return (
            f"the delimiter is {describe_delimiter(dialect.delimiter)}, as in the header; "
            "--delimiter (in Python, delimiter=) gives another"
        )
    return "is a quote or a delimiter missing?"


def _is_unclosed(field: str) -> bool:
    return field.startswith('"') and field.count('"') % 2 == 1


def _count(fields: list[str]) -> str:
    return "1 field" if len(fields) == 1 else f"{len(fields)} fields"
