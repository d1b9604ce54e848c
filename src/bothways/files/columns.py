"""Which column holds the sequences, and which the ids."""

from collections.abc import Sequence
from typing import NamedTuple

from bothways.errors import DataFileError

__all__ = ["Selection", "choose_column", "require_column"]

_USUAL_NAMES = ("text", "sentence", "sequence", "series")


class Selection(NamedTuple):
    """The columns that the user named; None for those left to us."""

    column: str | None = None
    id_column: str | None = None


def choose_column(
    name: str, available: Sequence[str], candidates: Sequence[str], selection: Selection
) -> str:
    """The column of the sequences: the one named, the only candidate, or one with a usual name.

    available: every column of the file. candidates: those whose values could be sequences.

    Raises:
        DataFileError: if there is no such column, or several could be meant; it lists them.
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
            f"{name}: no column could hold the sequences; the file has {listed(available)}"
        )
    raise DataFileError(
        f"{name}: which column holds the sequences? Name one with --column "
        f"(in Python, column=): {listed(candidates)}"
    )


def require_column(name: str, available: Sequence[str], column: str) -> str:
    """`column`, if the file called `name` has it exactly once.

    Raises:
        DataFileError: otherwise, listing the columns that there are.
    """
    count = list(available).count(column)
    if count == 1:
        return column
    if count:
        raise DataFileError(f"{name}: {count} columns are called {column!r}; rename all but one")
    raise DataFileError(f"{name}: no column {column!r}; the file has {listed(available)}")


def listed(columns: Sequence[str]) -> str:
    """Column names for a message."""
    return ", ".join(map(repr, columns)) if columns else "no columns"
