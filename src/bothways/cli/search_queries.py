"""The queries of `bothways search`: an argument, standard input, or files."""

import contextlib
import dataclasses
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.arguments import decode_text
from bothways.cli.hits import Query
from bothways.cli.inputs import note_tables, report_missing
from bothways.errors import InputError
from bothways.io.options import Option

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.files import InputFile

__all__ = ["QueriesOptions", "read_argument", "read_queries"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueriesOptions(o.InputOptions):
    """Files of queries, and the columns of their rows."""

    inputs: Annotated[
        tuple[str, ...],
        Option(
            "File of queries, one per row, in any format that `bothways encode` reads, or - for "
            "standard input.",
            group="Input", unit="FILE", flags=("--queries",),
        ),
    ] = ()  # fmt: skip


def read_argument(query: str) -> Query:
    """The query on the command line, or on standard input for `-`."""
    from bothways.files import STDIN

    if query == STDIN:
        return _checked(Query("0", _read_standard_input(), "standard input"))
    return _checked(Query("0", decode_text(query), "QUERY"))


def _read_standard_input() -> str:
    """The text of standard input, without the end of its last line."""
    from bothways.files.decoding import decode_lines, strip_newline

    return strip_newline("".join(decode_lines(sys.stdin.buffer, "standard input")))


def read_queries(
    files: "list[InputFile]", queries: QueriesOptions, encoder: "Encoder", *, quiet: bool
) -> "Generator[Query]":
    """Yield the rows of files as queries.

    Raises:
        DataFileError: if a file is damaged.
        InputError: if a query is empty.
    """
    from bothways.files import ReadProgress, read_rows

    read_progress = ReadProgress(files)
    rows = read_rows(
        files,
        kind=models.kind_of(encoder),
        column=queries.column,
        id_column=queries.id_column,
        on_missing=queries.on_missing,
        read_progress=read_progress,
    )
    with contextlib.closing(rows):
        for row in rows if quiet else note_tables(rows, read_progress, columns=False):
            yield _checked(Query(row.id, row.value, str(row.place)))
    report_missing(queries, read_progress)


def _checked(query: Query) -> Query:
    if not query.text.strip():
        raise InputError(f"{query.place}: the query is empty; give a text or symbols to search for")
    return query
