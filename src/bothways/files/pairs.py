"""Rows of two texts, which a model reads together, from two columns of a file."""

from collections.abc import Generator, Sequence
from contextlib import closing

from bothways.files.columns import require_column
from bothways.files.formats import TextFormat, check_inputs
from bothways.files.records import read_records
from bothways.files.rows import Meter, Row
from bothways.files.values import id_of, value_of

__all__ = ["read_pairs"]


def read_pairs(
    sources: Sequence[str],
    *,
    columns: tuple[str, str],
    id_column: str | None = None,
    input_format: TextFormat | None = None,
    meter: Meter | None = None,
) -> Generator[Row]:
    """The rows of all files, in order, each with a tuple of two texts as its value.

    columns: of the first and the second text. id_column, input_format, meter: as `read_rows` has
    them.

    Raises:
        DataFileError: naming file, row and field.
    """
    meter = meter or Meter(sources)
    needed = [*columns, *([] if id_column is None else [id_column])]
    number = 0
    for file in check_inputs(sources, input_format):
        with closing(read_records(file, columns=needed, meter=meter)) as records:
            for fields, place in records:
                for column in needed:
                    require_column(str(place), list(fields), column)
                first, second = (
                    value_of(fields[column], "text", place._replace(field=column))
                    for column in columns
                )
                row_id = str(number)
                if id_column is not None:
                    row_id = id_of(fields[id_column], place._replace(field=id_column))
                yield Row(row_id, (first, second), place)
                number += 1
