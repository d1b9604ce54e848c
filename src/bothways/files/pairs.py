"""Rows of text pairs, from two columns of a file."""

from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Literal

from bothways.files.columns import ColumnSelection, SameColumns, choose_ids, require_column
from bothways.files.formats import FileOptions, InputFile
from bothways.files.inputs import check_inputs
from bothways.files.missing import OnMissing, blank_as_missing, replace_missing
from bothways.files.records import Record, read_records
from bothways.files.rows import Place, ReadProgress, Row
from bothways.files.values import parse_id, parse_value

__all__ = ["read_pairs"]


def read_pairs(
    sources: Sequence[str | InputFile],
    *,
    columns: tuple[str, str],
    id_column: str | None = None,
    keep: Sequence[str] | Literal["all"] = (),
    on_missing: OnMissing = "error",
    options: FileOptions | None = None,
    read_progress: ReadProgress | None = None,
) -> Generator[Row]:
    """Yield the rows of all files in order, each with a tuple of two texts as its value.

    columns: of the first and the second text.
    id_column, keep, on_missing, options, read_progress: see `read_rows`; kept cells are JSON
        values.

    Raises:
        DataFileError: names the file, row and column.
    """
    files = check_inputs(sources, options)
    read_progress = read_progress or ReadProgress(files)
    named = ColumnSelection(id_column=id_column, keep=keep)
    same_columns = SameColumns()
    number = 0
    for file in files:
        needed = partial(_needed_columns, file.name, columns, named)
        with closing(read_records(file, columns=needed, read_progress=read_progress)) as records:
            for index, record in enumerate(records):
                available = list(record.fields)
                if index == 0:  # objects of JSON may lack fields in later rows
                    for column in columns:
                        require_column(str(record.place), available, column)
                    selection = choose_ids(file.name, available, named, read_progress)
                    ids = selection.id_column
                    if ids is not None:
                        require_column(str(record.place), available, ids)
                    kept = selection.kept_columns(str(record.place), available, columns)
                elif keep == "all":
                    kept = selection.kept_columns(str(record.place), available, columns)
                pair = _pair(record, file, columns, on_missing, read_progress)
                if pair is not None:
                    row_id = str(number) if ids is None else parse_id(*_field(record, file, ids))
                    cells = {name: record.fields.get(name) for name in kept}
                    kept_cells = same_columns(cells, record.place)
                    yield Row(row_id, pair, record.place, kept_cells, ids is None)
                number += 1


def _needed_columns(
    name: str, columns: tuple[str, str], named: ColumnSelection, available: Sequence[str]
) -> list[str]:
    selection = named.with_ids(available)
    ids = [] if selection.id_column is None else [selection.id_column]
    return [*columns, *ids, *selection.kept_columns(name, available, columns)]


def _pair(
    record: Record,
    file: InputFile,
    columns: tuple[str, str],
    on_missing: OnMissing,
    read_progress: ReadProgress,
) -> tuple[str, str] | None:
    """The two texts of a record; None to skip it. A record is counted as missing once."""
    texts: list[str | None] = []
    for column in columns:
        value, place = _field(record, file, column)
        texts.append(None if value is None else parse_value(value, "text", place))
    if None in texts:
        place = record.place._replace(field=columns[texts.index(None)])
        if replace_missing(place, "text", on_missing, read_progress) is None:
            return None
    first, second = (text or "" for text in texts)
    return first, second


def _field(record: Record, file: InputFile, column: str) -> tuple[Any, Place]:
    """The value of a field, None if it is missing, and its place."""
    value = record.fields.get(column)
    if isinstance(value, str) and file.format in ("txt", "csv", "tsv", "fasta"):
        value = blank_as_missing(value)  # these formats have no null
    return value, record.place._replace(field=column)
