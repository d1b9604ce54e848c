"""Rows from any input, as a stream: memory is that of a row, not of a file."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, assert_never

from bothways.errors import DataFileError
from bothways.files.columns import Selection
from bothways.files.fasta import read_fasta
from bothways.files.formats import InputFile, TextFormat, check_inputs
from bothways.files.jsonl import read_jsonl
from bothways.files.lines import decoded_lines
from bothways.files.opening import byte_lines
from bothways.files.parquet import read_parquet
from bothways.files.rows import Kind, Meter, Place, Row
from bothways.files.tables import read_table
from bothways.files.text import read_text
from bothways.files.values import value_of

__all__ = ["read_rows"]


def read_rows(
    sources: Sequence[str],
    *,
    kind: Kind = "text",
    column: str | None = None,
    id_column: str | None = None,
    input_format: TextFormat | None = None,
    meter: Meter | None = None,
) -> Generator[Row]:
    """The rows of all files, in order.

    sources: paths, or `-` for standard input.
    kind: what the rows must hold: texts, symbols (also texts) or series.
    column: which column holds the sequences. By default the only one that can; else the only one
        called text, sentence, sequence or series.
    id_column: which column holds the ids. By default a row's id is its number, from 0, counted over
        all files; in FASTA it is the first word of the header.
    input_format: for standard input (by default `txt`) and for names that do not tell.
    meter: is moved as reading goes on.

    Raises:
        DataFileError: naming file, row and field.
    """
    files = check_inputs(sources, input_format)
    selection = Selection(column, id_column)
    meter = meter or Meter(sources)
    number = 0
    for file in files:
        with contextlib.ExitStack() as opened:  # closed also if the caller wants no more rows
            for row_id, value, place in _read(file, meter, kind, selection, opened):
                yield Row(str(number) if row_id is None else row_id, value, place)
                number += 1


def _read(
    file: InputFile, meter: Meter, kind: Kind, selection: Selection, opened: contextlib.ExitStack
) -> Iterator[tuple[str | None, Any, Place]]:
    if file.format == "parquet":
        return opened.enter_context(closing(read_parquet(file, meter, kind, selection)))
    lines = decoded_lines(opened.enter_context(closing(byte_lines(file, meter))), file.name)
    if file.format == "jsonl":
        return read_jsonl(lines, file.name, kind, selection)
    if kind == "series":
        raise DataFileError(
            f"{file.name}: the model reads series; give them as .jsonl or .parquet with a column "
            "of lists of numbers"
        )
    match file.format:
        case "csv":
            return _values(read_table(lines, file.name, ",", selection), kind)
        case "tsv":
            return _values(read_table(lines, file.name, "\t", selection), kind)
        case "txt":
            _refuse_columns(file, selection)
            return read_text(lines, file.name)
        case "fasta":
            _refuse_columns(file, selection)
            return read_fasta(lines, file.name)
        case unknown:
            assert_never(unknown)


def _values(
    rows: Iterator[tuple[str | None, str, Place]], kind: Kind
) -> Iterator[tuple[str | None, Any, Place]]:
    """The cells of a table; for symbols also the lists that they hold in print."""
    for row_id, text, place in rows:
        yield row_id, value_of(text, kind, place) if kind == "symbols" else text, place


def _refuse_columns(file: InputFile, selection: Selection) -> None:
    for column in selection:
        if column is not None:
            raise DataFileError(
                f"{file.name}: has no column {column!r}; .{file.format} files have no columns"
            )
