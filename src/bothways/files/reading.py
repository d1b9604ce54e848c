"""Reading rows from any input as a stream: memory is bounded by a row, not by a file."""

import contextlib
import itertools
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, Literal, assert_never

from bothways.errors import DataFileError
from bothways.files.arrays import read_arrays
from bothways.files.byte_lines import read_byte_lines, read_chunks
from bothways.files.columnar import read_columnar
from bothways.files.columns import ColumnSelection, SameColumns
from bothways.files.decoding import decode_lines
from bothways.files.fasta import read_fasta
from bothways.files.formats import FileOptions, InputFile
from bothways.files.inputs import check_inputs
from bothways.files.json_array import read_json
from bothways.files.jsonl import read_objects, rows_of_objects
from bothways.files.missing import OnMissing, blank_as_missing, replace_missing
from bothways.files.rows import OnRowError, RawRow, ReadProgress, Row, raise_error
from bothways.files.tables import read_table
from bothways.files.text import read_document, read_text
from bothways.files.values import parse_value
from bothways.model.inputs import InputKind

__all__ = ["read_raw_rows", "read_rows"]


def read_rows(
    sources: Sequence[str | InputFile],
    *,
    kind: InputKind = "text",
    column: str | None = None,
    id_column: str | None = None,
    keep: Sequence[str] | Literal["all"] = (),
    on_missing: OnMissing = "error",
    options: FileOptions | None = None,
    read_progress: ReadProgress | None = None,
) -> Generator[Row]:
    """Yield the rows of all files in order.

    sources: files, directories, patterns or `-` for standard input, as `check_inputs` takes them.
    kind: of the sequences. Symbols may also be given as texts.
    column: of the sequences. By default the only one that can hold them, or else the only one
        called text, sentence, sequence or series.
    id_column: of the ids. By default the one called id, in any case, if there is another column;
        else the id of a row is its number, from 0 over all files, skipped rows included; in FASTA,
        it is the first word of the header; in .npz, the name of the array.
    keep: other columns, whose cells rows keep; "all" for those of the first row except the
        sequence and the id.
    on_missing: what to do about rows without a value.
    options: how to read the files.
    read_progress: updated while the files are read.

    Raises:
        DataFileError: names the file, row and column.
    """
    files = check_inputs(sources, options)
    selection = ColumnSelection(column, id_column, keep, all_ids=on_missing == "empty")
    same_columns = SameColumns()
    read_progress = read_progress or ReadProgress(files)
    number = 0
    for file in files:
        with contextlib.ExitStack() as stack:  # closes the file even if the caller stops early
            for row_id, value, place, cells in read_raw_rows(
                file, read_progress, kind, selection, stack
            ):
                if value is None:
                    value = replace_missing(place, kind, on_missing, read_progress)
                if value is not None:
                    name = str(number) if row_id is None else row_id
                    yield Row(name, value, place, same_columns(cells, place), row_id is None)
                number += 1


def read_raw_rows(
    file: InputFile,
    read_progress: ReadProgress,
    kind: InputKind,
    selection: ColumnSelection,
    stack: contextlib.ExitStack,
    on_error: OnRowError = raise_error,
) -> Iterator[RawRow]:
    """The rows of a file; a value is None if it is missing.

    on_error: called with the errors of rows. Unless it is `raise_error`, bytes that are not UTF-8
        are lone surrogates in the rows.
    """
    match file.format:
        case "parquet" | "arrow":
            return stack.enter_context(
                closing(read_columnar(file, read_progress, kind, selection, on_error))
            )
        case "json":
            chunks = stack.enter_context(closing(read_chunks(file, read_progress)))
            return rows_of_objects(
                read_json(chunks, file), kind, selection, read_progress, on_error
            )
        case "npy" | "npz":
            _refuse_columns(file, selection)
            arrays = stack.enter_context(closing(read_arrays(file, read_progress, kind)))
            return itertools.starmap(RawRow, arrays)
    lines = _lines(file, read_progress, stack, strict=on_error is raise_error)
    before = file.rows_before
    if file.format == "jsonl":
        objects = read_objects(lines, file.name, lines_before=before, on_error=on_error)
        return rows_of_objects(objects, kind, selection, read_progress, on_error)
    if kind == "series":
        raise DataFileError(
            f"{file.name}: this model reads series; use .npy or .npz, or .jsonl, .json, .parquet "
            "or .arrow with a column of lists of numbers"
        )
    match file.format:
        case "csv" | "tsv":
            return _values(
                read_table(lines, file, selection, read_progress, on_error), kind, on_error
            )
        case "txt":
            _refuse_columns(file, selection)
            if file.per_file:
                return _values(itertools.starmap(RawRow, read_document(lines, file)), "text")
            return _values(itertools.starmap(RawRow, read_text(lines, file.name, before)), "text")
        case "fasta":
            _refuse_columns(file, selection)
            return _values(itertools.starmap(RawRow, read_fasta(lines, file)), "text")
        case unknown:
            assert_never(unknown)


def _lines(
    file: InputFile, read_progress: ReadProgress, stack: contextlib.ExitStack, *, strict: bool
) -> Iterator[str]:
    """The lines of a file, or those of its header and its part."""
    errors: Literal["strict", "surrogateescape"] = "strict" if strict else "surrogateescape"
    lines = decode_lines(
        stack.enter_context(closing(read_byte_lines(file, read_progress))), file.name, errors
    )
    if file.part is None or file.part.offset is None or not file.part.header_lines:
        return lines
    whole = file._replace(part=None)
    with closing(read_byte_lines(whole, ReadProgress([]))) as start:
        header = list(itertools.islice(decode_lines(start, file.name), file.part.header_lines))
    return itertools.chain(header, lines)


def _values(
    rows: Iterator[RawRow], kind: InputKind, on_error: OnRowError = raise_error
) -> Iterator[RawRow]:
    """Rows of texts, with None where one is blank; for symbols also lists that are printed."""
    for row in rows:
        value: Any = blank_as_missing(row.value)
        if value is not None and kind == "symbols":
            try:
                value = parse_value(row.value, kind, row.place)
            except DataFileError as error:
                on_error(error, row.place)
                continue
        yield row._replace(value=value)


def _refuse_columns(file: InputFile, selection: ColumnSelection) -> None:
    kept = () if selection.keep == "all" else selection.keep
    for column in (selection.column, selection.id_column, *kept):
        if column is not None:
            raise DataFileError(
                f"{file.name}: no column {column!r}: .{file.format} files have no columns"
            )
