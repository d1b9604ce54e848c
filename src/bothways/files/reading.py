"""Reading rows from any input as a stream: memory is bounded by a row, not by a file."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, assert_never

from bothways.errors import DataFileError
from bothways.files.byte_lines import read_byte_lines
from bothways.files.columns import ColumnSelection
from bothways.files.decoding import decode_lines
from bothways.files.fasta import read_fasta
from bothways.files.formats import InputFile, TextFormat, check_inputs
from bothways.files.jsonl import read_jsonl
from bothways.files.parquet import read_parquet
from bothways.files.rows import Place, ReadProgress, Row
from bothways.files.tables import read_table
from bothways.files.text import read_text
from bothways.files.values import parse_value
from bothways.model.inputs import InputKind

__all__ = ["read_rows"]


def read_rows(
    sources: Sequence[str],
    *,
    kind: InputKind = "text",
    column: str | None = None,
    id_column: str | None = None,
    input_format: TextFormat | None = None,
    delimiter: str | None = None,
    read_progress: ReadProgress | None = None,
) -> Generator[Row]:
    """Yield the rows of all files in order.

    sources: paths, or `-` for standard input.
    kind: of the sequences. Symbols may also be given as texts.
    column: of the sequences. By default the only one that can hold them, or else the only one
        called text, sentence, sequence or series.
    id_column: of the ids. By default, the id of a row is its number, from 0 over all files; in
        FASTA, it is the first word of the header.
    input_format: of standard input (by default `txt`) and of names without a known suffix.
    delimiter: of .csv and .tsv, a character or `tab`; by default the one in the header of .csv.
    read_progress: updated while the files are read.

    Raises:
        DataFileError: names the file, row and column.
    """
    files = check_inputs(sources, input_format, delimiter)
    selection = ColumnSelection(column, id_column)
    read_progress = read_progress or ReadProgress(sources)
    number = 0
    for file in files:
        with contextlib.ExitStack() as stack:  # closes the file even if the caller stops early
            for row_id, value, place in _read(file, read_progress, kind, selection, stack):
                yield Row(str(number) if row_id is None else row_id, value, place)
                number += 1


def _read(
    file: InputFile,
    read_progress: ReadProgress,
    kind: InputKind,
    selection: ColumnSelection,
    stack: contextlib.ExitStack,
) -> Iterator[tuple[str | None, Any, Place]]:
    if file.format == "parquet":
        return stack.enter_context(closing(read_parquet(file, read_progress, kind, selection)))
    lines = decode_lines(
        stack.enter_context(closing(read_byte_lines(file, read_progress))), file.name
    )
    if file.format == "jsonl":
        return read_jsonl(lines, file.name, kind, selection)
    if kind == "series":
        raise DataFileError(
            f"{file.name}: this model reads series; use .jsonl or .parquet with a column of lists "
            "of numbers"
        )
    match file.format:
        case "csv" | "tsv":
            return _values(read_table(lines, file, selection, read_progress), kind)
        case "txt":
            _refuse_columns(file, selection)
            return read_text(lines, file.name)
        case "fasta":
            _refuse_columns(file, selection)
            return read_fasta(lines, file.name)
        case unknown:
            assert_never(unknown)


def _values(
    rows: Iterator[tuple[str | None, str, Place]], kind: InputKind
) -> Iterator[tuple[str | None, Any, Place]]:
    """The cells of a table; for symbols also the lists printed into them."""
    for row_id, text, place in rows:
        yield row_id, parse_value(text, kind, place) if kind == "symbols" else text, place


def _refuse_columns(file: InputFile, selection: ColumnSelection) -> None:
    for column in selection:
        if column is not None:
            raise DataFileError(
                f"{file.name}: no column {column!r}: .{file.format} files have no columns"
            )
