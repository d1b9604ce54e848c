"""JSON Lines: one object per line. Blank lines at the end are skipped."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from bothways.errors import DataFileError
from bothways.files.columns import ColumnSelection, choose_column, choose_ids, format_names
from bothways.files.rows import OnRowError, Place, RawRow, ReadProgress, raise_error
from bothways.files.values import can_hold, describe_value, parse_id, parse_value
from bothways.model.inputs import InputKind

__all__ = ["get_field", "json_errors", "parse_object", "read_objects", "rows_of_objects"]


def rows_of_objects(
    objects: Iterable[tuple[dict[str, Any], Place]],
    kind: InputKind,
    selection: ColumnSelection,
    read_progress: ReadProgress,
    on_error: OnRowError = raise_error,
) -> Iterator[RawRow]:
    """Yield the row of each object. The first one determines the columns.

    The value is None where the field is null, or where an object after the first lacks it; kept
    cells likewise. To keep all columns is to keep all fields of each object.

    Raises:
        DataFileError: if a field is missing or of the wrong type.
    """
    column: str | None = None
    kept: list[str] = []
    if selection.is_final:
        column = selection.column
        kept = [] if selection.keep == "all" else list(selection.keep)
    for fields, place in objects:
        if column is None:
            selection = choose_ids(place.file, list(fields), selection, read_progress)
            column = _choose_column(fields, str(place), kind, selection)
            kept = selection.kept_columns(str(place), list(fields), [column])
        if selection.keep == "all":
            kept = selection.kept_columns(str(place), list(fields), [column])
        at = place._replace(field=column)
        value = fields.get(column)
        row_id = None
        try:
            if value is not None:
                value = parse_value(value, kind, at)
            if selection.id_column is not None and (value is not None or selection.all_ids):
                at_id = place._replace(field=selection.id_column)
                row_id = parse_id(get_field(fields, at_id), at_id)
        except DataFileError as error:
            on_error(error, at)
            continue
        yield RawRow(row_id, value, at, {name: fields.get(name) for name in kept})


def _choose_column(
    fields: dict[str, Any], name: str, kind: InputKind, selection: ColumnSelection
) -> str:
    candidates = [field for field, value in fields.items() if can_hold(value, kind)]
    if not candidates:
        candidates = [field for field, value in fields.items() if value is None]
    return choose_column(name, list(fields), candidates, selection)


def read_objects(
    lines: Iterable[str],
    name: str,
    *,
    lines_before: int = 0,
    on_error: OnRowError = raise_error,
) -> Iterator[tuple[dict[str, Any], Place]]:
    """Yield the object and place of each line.

    Raises:
        DataFileError: if a line is not a JSON object, or a line before the last object is blank.
    """
    next_row = lines_before + 1
    for number, line in enumerate(lines, lines_before + 1):
        place = Place(name, number)
        if not line.strip(" \t\r\n"):
            continue  # until an object follows
        for blank in range(next_row, number):
            where = Place(name, blank)
            on_error(DataFileError(f"{where}: blank; expected a JSON object"), where)
        next_row = number + 1
        try:
            fields = parse_object(line, place)
        except DataFileError as error:
            on_error(error, place)
            continue
        yield fields, place


def parse_object(line: str, place: Place) -> dict[str, Any]:
    """Parse a line that holds one JSON object.

    Raises:
        DataFileError: if it holds anything else.
    """
    with json_errors(place):
        value = json.loads(line)
    if not isinstance(value, dict):
        raise DataFileError(f"{place}: expected a JSON object, found {describe_value(value)}")
    return value


@contextlib.contextmanager
def json_errors(place: Place) -> Iterator[None]:
    """Raise the errors of the JSON parser as `DataFileError`."""
    try:
        yield
    except RecursionError as error:
        raise DataFileError(f"{place}: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise DataFileError(f"{place}: not JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:  # a number of thousands of digits
        raise DataFileError(f"{place}: {error}") from error


def get_field(fields: dict[str, Any], place: Place) -> Any:
    """The value of the field that `place` names.

    Raises:
        DataFileError: if it is missing; lists the fields of the row.
    """
    try:
        return fields[place.field or ""]
    except KeyError as error:
        where = place._replace(field=None)
        raise DataFileError(
            f"{where}: no column {place.field!r}; this row has {format_names(list(fields))}"
        ) from error
