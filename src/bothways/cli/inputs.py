"""Inputs of commands: checks before the work starts, and notes on how files are read."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bothways.cli.console import note, warn
from bothways.cli.options import InputOptions
from bothways.errors import DataFileError

if TYPE_CHECKING:
    from bothways.files import InputFile, ReadProgress, Row

__all__ = ["check_input_files", "note_tables", "report_missing"]


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


def note_tables(
    rows: "Iterable[Row]", read_progress: "ReadProgress", *, columns: bool
) -> "Iterator[Row]":
    """Print how each table is read: its delimiter, if it is a .csv file without commas.

    columns: also print which column is encoded: without a header it is the first row's text.
    """
    file = None
    for row in rows:
        name, _, line, column = row.place
        if name != file and name in read_progress.delimiters:
            note(f"{name}: the delimiter is {read_progress.delimiters[name]}")
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
