"""Records from any input: all that stands in a row, by its column, as a stream."""

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple, assert_never

from bothways.files.byte_lines import byte_lines
from bothways.files.decoding import decoded_lines
from bothways.files.fasta import read_fasta
from bothways.files.formats import InputFile
from bothways.files.jsonl import objects
from bothways.files.parquet import read_parquet_records
from bothways.files.rows import Meter, Place
from bothways.files.tables import read_table_records
from bothways.files.text import read_text

__all__ = ["Record", "read_records"]


class Record(NamedTuple):
    """The fields of a row by their column, as JSON has them (a table's are all texts); its place.

    A line of .txt has the column `text`, a record of .fasta the columns `id` and `sequence`.
    """

    fields: Mapping[str, Any]
    place: Place


def read_records(
    file: InputFile, *, columns: Sequence[str] | None = None, meter: Meter | None = None
) -> Generator[Record]:
    """The records of one file, in order.

    columns: those that the caller needs, so that others need not be read; None for all.
    meter: is moved as reading goes on.

    Raises:
        DataFileError: naming file and row.
    """
    with contextlib.ExitStack() as opened:  # closed also if the caller wants no more
        meter = meter or Meter([file.source])
        for fields, place in _read(file, columns, meter, opened):
            yield Record(fields, place)


def _read(
    file: InputFile, columns: Sequence[str] | None, meter: Meter, opened: contextlib.ExitStack
) -> Iterator[tuple[Mapping[str, Any], Place]]:
    if file.format == "parquet":
        return opened.enter_context(closing(read_parquet_records(file, meter, columns)))
    lines = decoded_lines(opened.enter_context(closing(byte_lines(file, meter))), file.name)
    match file.format:
        case "jsonl":
            return objects(lines, file.name)
        case "csv":
            return read_table_records(lines, file.name, ",")
        case "tsv":
            return read_table_records(lines, file.name, "\t")
        case "txt":
            return (({"text": text}, place) for _, text, place in read_text(lines, file.name))
        case "fasta":
            return (
                ({"id": name, "sequence": residues}, place)
                for name, residues, place in read_fasta(lines, file.name)
            )
        case unknown:
            assert_never(unknown)
