"""Inputs of commands: checks before the work starts, and notes on how files are read."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bothways.cli.console import note, warn
from bothways.cli.options import InputOptions
from bothways.errors import DataFileError, InputError

if TYPE_CHECKING:
    from bothways.files import InputFile, ReadProgress, Row

__all__ = [
    "check_input_files",
    "check_kept",
    "columns_to_keep",
    "note_tables",
    "report_missing",
]


def check_input_files(inputs: InputOptions, output: str, *, quiet: bool) -> "list[InputFile]":
    """Find and check the files to read, before a model is loaded.

    Raises:
        DataFileError: naming a file that cannot be read, or that is also the output.
    """
    from bothways.files import check_inputs

    files = check_inputs(
        inputs.inputs, inputs.file_options, note=(lambda _: None) if quiet else note
    )
    if any(_is_same_file(file.source, output) for file in files):
        raise DataFileError(f"{output}: is also an input; give the output another name")
    return files


def _is_same_file(source: str, output: str) -> bool:
    try:
        return Path(output).samefile(source)
    except OSError:  # one of them does not exist
        return False


def columns_to_keep(keep: Sequence[str], *, keep_all: bool) -> "Sequence[str] | Literal['all']":
    """The argument `keep` of `read_rows`.

    Raises:
        InputError: if both options are given.
    """
    if keep and keep_all:
        raise InputError("--keep names columns, and --keep-all copies all; use only one")
    return "all" if keep_all else keep


def check_kept(rows: "Iterator[Row]", own: Collection[str]) -> "Iterator[Row]":
    """Check that the kept columns of the first row are none of the output's own.

    Raises:
        DataFileError: names the column.
    """
    for index, row in enumerate(rows):
        if index == 0 and (clash := next((name for name in row.cells if name in own), None)):
            raise DataFileError(
                f"{row.place.file}: the output has a column {clash!r} of its own; rename the one "
                "of the input, or choose others with --keep"
            )
        yield row


def note_tables(
    rows: "Iterable[Row]", read_progress: "ReadProgress", *, columns: bool
) -> "Iterator[Row]":
    """Print how each table is read: its delimiter, if it is a .csv file without commas, and ids.

    columns: also print which column is encoded: without a header it is the first row's text.
    """
    file = None
    for row in rows:
        name, _, line, column = row.place
        if name != file and name in read_progress.delimiters:
            note(f"{name}: the delimiter is {read_progress.delimiters[name]}")
        if name != file and name in read_progress.id_columns:
            note(f"{name}: ids are those of column {read_progress.id_columns[name]!r}")
        if columns and name != file and line is not None and column is not None:
            note(f"{name}: encoding column {column!r}")
        file = name
        yield row


def report_missing(inputs: InputOptions, read_progress: "ReadProgress") -> None:
    """Warn of rows without a value."""
    if read_progress.missing:
        action = "skipped" if inputs.on_missing == "skip" else "read as empty texts"
        warn(
            f"rows without a value that were {action}: {read_progress.missing:,}, the first is "
            f"{read_progress.first_missing}"
        )
