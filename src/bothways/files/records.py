"""Reading records from any input as a stream: all fields of a row, by column."""

import contextlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple, assert_never

from bothways.errors import DataFileError
from bothways.files.byte_lines import read_byte_lines, read_chunks
from bothways.files.columnar import read_columnar_records
from bothways.files.columns import ColumnChoice
from bothways.files.decoding import decode_lines
from bothways.files.fasta import read_fasta
from bothways.files.formats import InputFile
from bothways.files.json_array import read_json
from bothways.files.jsonl import read_objects
from bothways.files.rows import Place, ReadProgress
from bothways.files.tables import read_table_records
from bothways.files.text import read_document, read_text

__all__ = ["Record", "read_records"]


class Record(NamedTuple):
    """The fields of one row by column, and its place.

    Fields are JSON values; those of .csv and .tsv are texts. A line of .txt has the column `text`,
    a record of .fasta the columns `id` and `sequence`.
    """

    fields: Mapping[str, Any]
    place: Place


def read_records(
    file: InputFile,
    *,
    columns: ColumnChoice = None,
    read_progress: ReadProgress | None = None,
) -> Generator[Record]:
    """Yield the records of one file in order.

    columns: the columns to read from .parquet and .arrow, or a function that chooses them among
        those of the file; None for all. Other formats have all columns.
    read_progress: updated while the file is read.

    Raises:
        DataFileError: names the file and row.
    """
    with contextlib.ExitStack() as stack:  # closes the file even if the caller stops early
        read_progress = read_progress or ReadProgress([file.source])
        for fields, place in _read(file, columns, read_progress, stack):
            yield Record(fields, place)


def _read(
    file: InputFile,
    columns: ColumnChoice,
    read_progress: ReadProgress,
    stack: contextlib.ExitStack,
) -> Iterator[tuple[Mapping[str, Any], Place]]:
    match file.format:
        case "parquet" | "arrow":
            return stack.enter_context(closing(read_columnar_records(file, read_progress, columns)))
        case "json":
            chunks = stack.enter_context(closing(read_chunks(file, read_progress)))
            return read_json(chunks, file)
        case "npy" | "npz":
            raise DataFileError(
                f"{file.name}: .{file.format} files hold series without other columns; use .jsonl, "
                ".json, .parquet or .arrow"
            )
    lines = decode_lines(
        stack.enter_context(closing(read_byte_lines(file, read_progress))), file.name
    )
    match file.format:
        case "jsonl":
            return read_objects(lines, file.name)
        case "csv" | "tsv":
            return read_table_records(lines, file, read_progress)
        case "txt":
            texts = read_document(lines, file) if file.per_file else read_text(lines, file.name)
            return (({"text": text}, place) for _, text, place in texts)
        case "fasta":
            return (
                ({"id": name, "sequence": residues}, place)
                for name, residues, place in read_fasta(lines, file)
            )
        case unknown:
            assert_never(unknown)
