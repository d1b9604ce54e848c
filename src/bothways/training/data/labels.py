"""Labels of rows: classes, tags or numbers, parsed from the values of a file."""

import math
import re
from collections.abc import Sequence
from typing import Any

from bothways.errors import DataFileError
from bothways.files.list_cells import list_cell
from bothways.files.rows import Place
from bothways.files.values import describe_value
from bothways.model.inputs import InputKind

__all__ = [
    "label_order",
    "parse_classes",
    "parse_number",
    "parse_similarity",
    "parse_tags",
    "type_of_label",
]

_WHOLE_NUMBER = re.compile("-?[0-9]{1,18}")

Classes = str | tuple[str, ...]
"""One class; or any number of labels."""


def parse_classes(value: Any, separator: str | None, place: Place) -> Classes:
    """Parse the class of a row, or its labels: a list, a printed list, or text with `separator`.

    Raises:
        DataFileError: if it is missing, or not a string, an integer or a bool.
    """
    if (cell := list_cell(value, place)) is not None or value == "[]":
        value = cell or []
    elif isinstance(value, str) and separator is not None:
        value = [part.strip() for part in value.split(separator) if part.strip()]
    if isinstance(value, list):
        labels = tuple(_name(label, place) for label in value)
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise DataFileError(f"{place}: duplicate label {twice[:40]!r}")
        return labels
    return _name(value, place)


def parse_tags(value: Any, kind: InputKind, place: Place) -> list[str]:
    """Parse the tags of a row: a list, a list as pandas prints it, or text with spaces.

    For symbols also one letter each.

    Raises:
        DataFileError: if they are missing, or one is not a string, an integer or a bool.
    """
    if (cell := list_cell(value, place)) is not None:
        value = cell
    if isinstance(value, str) and value.strip():
        parts = value.split()
        return list(value) if kind == "symbols" and len(parts) == 1 else parts
    if not isinstance(value, list):
        raise DataFileError(f"{place}: expected a list of tags, found {_describe(value)}")
    return [_name(tag, place) for tag in value]


def parse_number(value: Any, place: Place) -> float:
    """Parse a number to predict.

    Raises:
        DataFileError: if it is missing, not a number, NaN or infinite.
    """
    if _is_missing(value):
        raise _unlabeled(place)
    if isinstance(value, str):
        # Only Python reads 1_000 as a number.
        number = _float(value) if "_" not in value else None
    else:
        number = float(value) if type(value) in (int, float) else None
    if number is None or not math.isfinite(number):
        raise DataFileError(
            f"{place}: expected a finite number, found {_describe(value)}; correct it, or remove "
            "the row"
        )
    return number


def parse_similarity(value: Any, place: Place) -> float:
    """Parse the score of a pair, or its label: 1 or true for similar, 0 or false for dissimilar.

    Raises:
        DataFileError: if it is missing, not a number, NaN or infinite.
    """
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return float(value.strip().lower() == "true")
    if isinstance(value, str) and not _is_missing(value) and _float(value) is None:
        raise DataFileError(
            f"{place}: expected a score, or 0 or 1, found {_describe(value)}; to learn every row "
            "as a similar pair, keep the similar rows and use --loss in-batch"
        )
    return parse_number(value, place)


def type_of_label(value: Any) -> str:
    """The type of a label, for messages; all rows of a file must have the same."""
    match value:
        case bool():
            return "a truth value"
        case int():
            return "a number"
        case list():
            return "a list"
        case _:
            return "a text"


def label_order(labels: Sequence[str], preferred: Sequence[str] = ()) -> tuple[str, ...]:
    """The order of labels in a head: numbers by value, others alphabetically.

    preferred: the labels of a head to fine-tune; kept if they include all labels.
    """
    if set(labels) <= set(preferred):
        return tuple(preferred)
    if all(map(_WHOLE_NUMBER.fullmatch, labels)):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


def _name(value: Any, place: Place) -> str:
    if _is_missing(value):
        raise _unlabeled(place)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int):
        return str(value)
    raise DataFileError(
        f"{place}: expected a label, a string or an integer, found {_describe(value)}; to predict "
        "numbers, use: bothways train regress"
    )


def _is_missing(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def _unlabeled(place: Place) -> DataFileError:
    return DataFileError(f"{place}: the label is missing; add one, or remove the row")


def _describe(value: Any) -> str:
    return "nothing" if value == "" else describe_value(value)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
