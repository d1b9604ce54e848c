"""Columns by which a map is colored: numbers, dates and categories."""

import dataclasses
import datetime
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from bothways.errors import InputError
from bothways.io.short_repr import ShortRepr

__all__ = ["MapColumn", "parse_column"]

MAX_CATEGORIES = 20
"""Categories with a color of their own; the others share one."""

OTHERS, MISSING = 254, 255
"""Codes of categories beyond the most frequent, and of missing values."""

_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_EPOCH = datetime.date(1970, 1, 1).toordinal()


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MapColumn(ShortRepr):
    """One value for each point.

    kind: `number`; `date`, in days since 1970; or `category`.
    values: float64 (n,), NaN where missing; of categories codes uint8 (n,), counted from 0, with
        254 for all others and 255 for missing values.
    categories: the most frequent categories, in order.
    """

    name: str
    kind: Literal["number", "date", "category"]
    values: np.ndarray
    categories: tuple[str, ...] = ()


def parse_column(name: str, values: Iterable[Any], place: str) -> MapColumn:
    """A column from values of Python, None where missing; texts of numbers are numbers.

    place: for the message.

    Raises:
        InputError: if a value is a list, an object or bytes.
    """
    cells = [_plain(value, place) for value in values]
    present = [cell for cell in cells if cell is not None]
    if present and all(_is_number(cell) for cell in present):
        numbers = [math.nan if cell is None else float(cell) for cell in cells]
        return MapColumn(name, "number", _finite(numbers))
    if present and all(isinstance(cell, datetime.date) for cell in present):
        return MapColumn(name, "date", np.array([_days(cell) for cell in cells]))
    texts = [None if cell is None else _text(cell) for cell in cells]
    counter = Counter(text for text in texts if text is not None)
    frequent = sorted(counter, key=lambda text: (-counter[text], text))[:MAX_CATEGORIES]
    code_of: dict[str | None, int] = {text: code for code, text in enumerate(frequent)}
    code_of[None] = MISSING
    codes = np.array([code_of.get(text, OTHERS) for text in texts], np.uint8)
    return MapColumn(name, "category", codes, tuple(frequent))


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple | dict | bytes | np.ndarray):
        raise InputError(f"{place}: holds lists, objects or bytes, not single values")
    is_missing = value is None or value == "" or (isinstance(value, float) and math.isnan(value))
    return None if is_missing else value


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str):
        return _NUMBER.fullmatch(cell) is not None
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _finite(numbers: list[float]) -> np.ndarray:
    """The numbers, with NaN for those that are infinite in float32, as pages keep them."""
    values = np.array(numbers)
    values[np.abs(values) > np.finfo(np.float32).max] = math.nan
    return values


def _days(cell: datetime.date | None) -> float:
    if cell is None:
        return math.nan
    days = float(cell.toordinal() - _EPOCH)
    if isinstance(cell, datetime.datetime):
        days += (cell.hour + cell.minute / 60 + cell.second / 3600) / 24
    return days


def _text(cell: Any) -> str:
    return str(cell).lower() if isinstance(cell, bool) else str(cell)
