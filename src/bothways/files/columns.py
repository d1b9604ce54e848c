"""Selecting the columns that hold the sequences and the ids."""

from collections.abc import Sequence
from typing import NamedTuple

from bothways.errors import DataFileError

__all__ = ["ColumnSelection", "choose_column", "format_names", "require_column"]

_USUAL_NAMES = ("text", "sentence", "sequence", "series")


class ColumnSelection(NamedTuple):
    """The columns that the user named; None to choose automatically."""

    column: str | None = None
    id_column: str | None = None


def choose_column(
    name: str, available: Sequence[str], candidates: Sequence[str], selection: ColumnSelection
) -> str:
    """The column of the sequences: the selected one, the only candidate, or a usual name.

    name: of the file. available: all columns. candidates: those whose values could be sequences.

    Raises:
        DataFileError: if the column is missing or ambiguous; lists the candidates.
    """
    if selection.column is not None:
        return require_column(name, available, selection.column)
    candidates = [column for column in candidates if column != selection.id_column]
    if len(candidates) == 1:
        return require_column(name, available, candidates[0])
    usual = [column for column in candidates if column.lower() in _USUAL_NAMES]
    if len(usual) == 1:
        return require_column(name, available, usual[0])
    if not candidates:
        raise DataFileError(
            f"{name}: no column could hold the sequences; the file has {format_names(available)}"
        )
    raise DataFileError(
        f"{name}: which column holds the sequences? Name one with --column "
        f"(in Python, column=): {format_names(candidates)}"
    )


def require_column(name: str, available: Sequence[str], column: str) -> str:
    """Return `column` if the file called `name` has it exactly once.

    Raises:
        DataFileError: otherwise; lists the columns of the file.
    """
    count = list(available).count(column)
    if count == 1:
        return column
    if count:
        raise DataFileError(f"{name}: {count} columns are called {column!r}; rename all but one")
    raise DataFileError(f"{name}: no column {column!r}; the file has {format_names(available)}")


def format_names(columns: Sequence[str]) -> str:
    """Column names for a message."""
    return ", ".join(map(repr, columns)) if columns else "no columns"
