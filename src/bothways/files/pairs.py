"""Rows of text pairs, from two columns of a file."""

from collections.abc import Generator, Sequence
from contextlib import closing

from bothways.files.columns import require_column
from bothways.files.formats import TextFormat, check_inputs
from bothways.files.records import read_records
from bothways.files.rows import ReadProgress, Row
from bothways.files.values import parse_id, parse_value

__all__ = ["read_pairs"]


def read_pairs(
    sources: Sequence[str],
    *,
    columns: tuple[str, str],
    id_column: str | None = None,
    input_format: TextFormat | None = None,
    delimiter: str | None = None,
    read_progress: ReadProgress | None = None,
) -> Generator[Row]:
    """Yield the rows of all files in order, each with a tuple of two texts as its value.

    columns: of the first and the second text.
    id_column, input_format, delimiter, read_progress: see `read_rows`.

    Raises:
        DataFileError: names the file, row and column.
    """
    read_progress = read_progress or ReadProgress(sources)
    required = [*columns, *([] if id_column is None else [id_column])]
    number = 0
    for file in check_inputs(sources, input_format, delimiter):
        with closing(read_records(file, columns=required, read_progress=read_progress)) as records:
            for fields, place in records:
                for column in required:
                    require_column(str(place), list(fields), column)
                first, second = (
                    parse_value(fields[column], "text", place._replace(field=column))
                    for column in columns
                )
                row_id = str(number)
                if id_column is not None:
                    row_id = parse_id(fields[id_column], place._replace(field=id_column))
                yield Row(row_id, (first, second), place)
                number += 1
