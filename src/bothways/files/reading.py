"""Reading rows from any input as a stream: memory is bounded by a row, not by a file."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, assert_never

from bothways.errors import DataFileError
from bothways.files.arrays import read_arrays
from bothways.files.byte_lines import read_byte_lines, read_chunks
from bothways.files.columnar import read_columnar
from bothways.files.columns import ColumnSelection
from bothways.files.decoding import decode_lines
from bothways.files.fasta import read_fasta
from bothways.files.formats import FileOptions, InputFile
from bothways.files.inputs import check_inputs
from bothways.files.json_array import read_json
from bothways.files.jsonl import read_objects, rows_of_objects
from bothways.files.missing import OnMissing, blank_as_missing, replace_missing, require_id
from bothways.files.rows import Place, ReadProgress, Row
from bothways.files.tables import read_table
from bothways.files.text import read_document, read_text
from bothways.files.values import parse_value
from bothways.model.inputs import InputKind

__all__ = ["read_rows"]


def read_rows(
    sources: Sequence[str | InputFile],
    *,
    kind: InputKind = "text",
    column: str | None = None,
    id_column: str | None = None,
    on_missing: OnMissing = "error",
    options: FileOptions | None = None,
    read_progress: ReadProgress | None = None,
) -> Generator[Row]:
    """Yield the rows of all files in order.

    sources: files, directories, patterns or `-` for standard input, as `check_inputs` takes them.
    kind: of the sequences. Symbols may also be given as texts.
    column: of the sequences. By default the only one that can hold them, or else the only one
        called text, sentence, sequence or series.
    id_column: of the ids. By default, the id of a row is its number, from 0 over all files, skipped
        rows included; in FASTA, it is the first word of the header; in .npz, the name of the array.
    on_missing: what to do about rows without a value.
    options: how to read the files.
    read_progress: updated while the files are read.

    Raises:
        DataFileError: names the file, row and column.
    """
    files = check_inputs(sources, options)
    selection = ColumnSelection(column, id_column)
    read_progress = read_progress or ReadProgress(files)
    number = 0
    for file in files:
        with contextlib.ExitStack() as stack:  # closes the file even if the caller stops early
            for row_id, found, place in _read(file, read_progress, kind, selection, stack):
                value = found
                if value is None:
                    value = replace_missing(place, kind, on_missing, read_progress)
                if value is not None:
                    yield Row(str(number) if row_id is None else row_id, value, place)
                number += 1


def _read(
    file: InputFile,
    read_progress: ReadProgress,
    kind: InputKind,
    selection: ColumnSelection,
    stack: contextlib.ExitStack,
) -> Iterator[tuple[str | None, Any, Place]]:
    """Id, value and place of each row; the value is None if it is missing."""
    match file.format:
        case "parquet" | "arrow":
            return stack.enter_context(closing(read_columnar(file, read_progress, kind, selection)))
        case "json":
            chunks = stack.enter_context(closing(read_chunks(file, read_progress)))
            return rows_of_objects(read_json(chunks, file), kind, selection)
        case "npy" | "npz":
            _refuse_columns(file, selection)
            return stack.enter_context(closing(read_arrays(file, read_progress, kind)))
    lines = decode_lines(
        stack.enter_context(closing(read_byte_lines(file, read_progress))), file.name
    )
    if file.format == "jsonl":
        return rows_of_objects(read_objects(lines, file.name), kind, selection)
    if kind == "series":
        raise DataFileError(
            f"{file.name}: this model reads series; use .npy or .npz, or .jsonl, .json, .parquet "
            "or .arrow with a column of lists of numbers"
        )
    match file.format:
        case "csv" | "tsv":
            return _values(
                read_table(lines, file, selection, read_progress), kind, selection.id_column
            )
        case "txt":
            _refuse_columns(file, selection)
            if file.per_file:
                return _values(read_document(lines, file), "text")
            return _values(read_text(lines, file.name), "text")
        case "fasta":
            _refuse_columns(file, selection)
            return _values(read_fasta(lines, file), "text")
        case unknown:
            assert_never(unknown)


def _values(
    rows: Iterator[tuple[str | None, str, Place]], kind: InputKind, id_column: str | None = None
) -> Iterator[tuple[str | None, Any, Place]]:
    """The values of texts, None where one is blank; for symbols also lists that are printed."""
    for row_id, text, place in rows:
        value: Any = blank_as_missing(text)
        if value is not None and kind == "symbols":
            value = parse_value(text, kind, place)
        if value is not None and row_id is not None and id_column is not None:
            require_id(row_id, place._replace(field=id_column))
        yield row_id, value, place


def _refuse_columns(file: InputFile, selection: ColumnSelection) -> None:
    for column in selection:
        if column is not None:
            raise DataFileError(
                f"{file.name}: no column {column!r}: .{file.format} files have no columns"
            )
