"""Selecting the columns that hold the sequences and the ids."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from bothways.errors import DataFileError
from bothways.files.rows import Place, ReadProgress

__all__ = [
    "ColumnChoice",
    "ColumnSelection",
    "SameColumns",
    "choose_column",
    "choose_ids",
    "format_names",
    "require_column",
]

ColumnChoice = Sequence[str] | Callable[[Sequence[str]], Sequence[str]] | None
"""Columns to read: their names, or a function that chooses them among all; None for all."""

_USUAL_NAMES = ("text", "sentence", "sequence", "series")
_ID_NAME = "id"


class ColumnSelection(NamedTuple):
    """The columns that the user named; None to choose automatically.

    keep: other columns of which rows keep the cells; all others if it is "all". all_ids: whether
    rows without a value need their ids too. is_final: whether the first row of the file has already
    determined the columns.
    """

    column: str | None = None
    id_column: str | None = None
    keep: Sequence[str] | Literal["all"] = ()
    all_ids: bool = False
    is_final: bool = False

    def with_ids(self, available: Sequence[str]) -> "ColumnSelection":
        """With the only column called id, in any case, as `id_column`, unless one is named."""
        ids = [name for name in available if name.lower() == _ID_NAME]
        if self.id_column is not None or len(ids) != 1 or len(available) == 1 or self.is_final:
            return self
        return self if ids[0] == self.column else self._replace(id_column=ids[0])

    def kept_columns(self, name: str, available: Sequence[str], used: Sequence[str]) -> list[str]:
        """The columns to keep of the file called `name`, whose sequences are in `used`.

        Raises:
            DataFileError: if one is missing.
        """
        if self.keep == "all":
            others = [each for each in available if each not in (*used, self.id_column)]
        else:
            others = list(dict.fromkeys(self.keep))
        return [require_column(name, available, each) for each in others]


def choose_ids(
    name: str,
    available: Sequence[str],
    selection: ColumnSelection,
    read_progress: ReadProgress,
) -> ColumnSelection:
    """Add the column of ids, if the file called `name` has one, and note it in the progress."""
    chosen = selection.with_ids(available)
    if chosen is not selection and chosen.id_column is not None:
        read_progress.id_columns[name] = chosen.id_column
    return chosen


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


class SameColumns:
    """Gives all rows the kept columns of the first; the cells that others lack are None.

    names: the columns of the first row, if it is not among the rows.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self._names = None if names is None else list(names)

    def __call__(self, cells: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        """The cells of one row.

        Raises:
            DataFileError: if the row has a column that the first row lacks.
        """
        if self._names is None:
            self._names = list(cells)
        if list(cells) == self._names:
            return cells
        if others := [name for name in cells if name not in self._names]:
            raise DataFileError(
                f"{place._replace(field=None)}: has the column {others[0]!r}, which the first row "
                "lacks; name the columns to keep with --keep (in Python, keep=)"
            )
        return {name: cells.get(name) for name in self._names}
