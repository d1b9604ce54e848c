"""JSON Lines: one object a line. Blank lines at the end are skipped."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from bothways.errors import DataFileError
from bothways.files.columns import Selection, choose_column, listed
from bothways.files.rows import Kind, Place
from bothways.files.values import could_hold, found, id_of, value_of

__all__ = ["field_of", "object_of", "objects", "read_jsonl"]


def read_jsonl(
    lines: Iterable[str], name: str, kind: Kind, selection: Selection
) -> Iterator[tuple[str | None, Any, Place]]:
    """The id, value and place of each line; the first line decides which field holds the sequences.

    Raises:
        DataFileError: for a line that is no JSON object, lacks a field, or holds the wrong thing.
    """
    column: str | None = None
    for fields, place in objects(lines, name):
        if column is None:
            candidates = [field for field, value in fields.items() if could_hold(value, kind)]
            column = choose_column(str(place), list(fields), candidates, selection)
        row_id = None
        if selection.id_column is not None:
            at = place._replace(field=selection.id_column)
            row_id = id_of(field_of(fields, at), at)
        place = place._replace(field=column)
        yield row_id, value_of(field_of(fields, place), kind, place), place


def objects(lines: Iterable[str], name: str) -> Iterator[tuple[dict[str, Any], Place]]:
    """The object and place of each line.

    Raises:
        DataFileError: for a line that is no JSON object, and a blank one before the end.
    """
    blank: Place | None = None
    for number, line in enumerate(lines, 1):
        place = Place(name, number)
        if not line.strip(" \t\r\n"):
            blank = blank or place
            continue
        if blank:
            raise DataFileError(f"{blank}: blank; expected a JSON object")
        yield object_of(line, place), place


def object_of(line: str, place: Place) -> dict[str, Any]:
    """The object that a line is.

    Raises:
        DataFileError: if it is none.
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
        raise DataFileError(f"{place}: expected a JSON object, found {found(value)}")
    return value


def field_of(fields: dict[str, Any], place: Place) -> Any:
    """The value of the field that `place` names.

    Raises:
        DataFileError: if there is none, listing the fields that there are.
    """
    try:
        return fields[place.field or ""]
    except KeyError as error:
        where = place._replace(field=None)
        raise DataFileError(
            f"{where}: no column {place.field!r}; this row has {listed(list(fields))}"
        ) from error
