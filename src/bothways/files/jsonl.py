"""JSON Lines: one object per line. Blank lines at the end are skipped."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from bothways.errors import DataFileError
from bothways.files.columns import ColumnSelection, choose_column, format_names
from bothways.files.rows import Place
from bothways.files.values import can_hold, describe_value, parse_id, parse_value
from bothways.model.inputs import InputKind

__all__ = ["get_field", "parse_object", "read_jsonl", "read_objects"]


def read_jsonl(
    lines: Iterable[str], name: str, kind: InputKind, selection: ColumnSelection
) -> Iterator[tuple[str | None, Any, Place]]:
    """Yield the id, value and place of each line. The first line determines the column.

    Raises:
        DataFileError: if a line is not a JSON object, or a field is missing or of the wrong type.
    """
    column: str | None = None
    for fields, place in read_objects(lines, name):
        if column is None:
            candidates = [field for field, value in fields.items() if can_hold(value, kind)]
            column = choose_column(str(place), list(fields), candidates, selection)
        row_id = None
        if selection.id_column is not None:
            at = place._replace(field=selection.id_column)
            row_id = parse_id(get_field(fields, at), at)
        place = place._replace(field=column)
        yield row_id, parse_value(get_field(fields, place), kind, place), place


def read_objects(lines: Iterable[str], name: str) -> Iterator[tuple[dict[str, Any], Place]]:
    """Yield the object and place of each line.

    Raises:
        DataFileError: if a line is not a JSON object, or a line before the last object is blank.
    """
    blank: Place | None = None
    for number, line in enumerate(lines, 1):
        place = Place(name, number)
        if not line.strip(" \t\r\n"):
            blank = blank or place
            continue
        if blank:
            raise DataFileError(f"{blank}: blank; expected a JSON object")
        yield parse_object(line, place), place


def parse_object(line: str, place: Place) -> dict[str, Any]:
    """Parse a line that holds one JSON object.

    Raises:
        DataFileError: if it holds anything else.
    """
    try:
        value = json.loads(line)
    except RecursionError as error:
        raise DataFileError(f"{place}: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise DataFileError(f"{place}: not JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:  # a number of thousands of digits
        raise DataFileError(f"{place}: {error}") from error
    if not isinstance(value, dict):
        raise DataFileError(f"{place}: expected a JSON object, found {describe_value(value)}")
    return value


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
