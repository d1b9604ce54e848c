"""Vectors in JSON Lines. Each row has its origin, as rows of several files may be joined."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from bothways.errors import DataFileError
from bothways.files.byte_lines import read_byte_lines
from bothways.files.columns import format_names
from bothways.files.decoding import decode_lines
from bothways.files.formats import InputFile
from bothways.files.jsonl import get_field, parse_object, read_objects
from bothways.files.origin import TRUST_HINT, Origin, check_comparable
from bothways.files.rows import Place, ReadProgress
from bothways.files.values import describe_value, parse_id

__all__ = ["JsonlVectorFile"]

_BATCH_BYTES = 1 << 23


class JsonlVectorFile:
    """A .jsonl file, possibly compressed. Its origin is that of the first row.

    trust: whether the rows may have no origin; then none may have one.
    """

    def __init__(self, file: InputFile, *, trust: bool = False) -> None:
        self._file, self.name = file, file.name
        with self._lines() as lines:
            first = next(read_objects(lines, file.name), None)
        if first is None:
            raise DataFileError(f"{file.name}: no rows, so the model and settings are unknown")
        fields, place = first
        self.columns = [name for name in fields if name not in ("vector", "origin")]
        self.origin: Origin | None = None
        if fields.get("origin") is None:
            if not trust:
                missing = "null in" if "origin" in fields else "no"
                raise DataFileError(
                    f"{place}: {missing} column 'origin'; this row has "
                    f"{format_names(list(fields))}; {TRUST_HINT}"
                )
            self.dimensions = _count_dimensions(fields, place)
            return
        self.origin = _origin(fields, place)
        self.dimensions = self.origin.dimensions

    def batches(self) -> Iterator[np.ndarray]:
        """See `VectorFile.batches`; also raises if the origins of rows differ."""
        dimensions = self.dimensions
        batch = np.empty((max(1, _BATCH_BYTES // (4 * dimensions)), dimensions), np.float32)
        filled = 0
        checked: list[Any] = []  # origins that were compared
        with self._lines() as lines:
            for fields, place in read_objects(lines, self._file.name):
                if self.origin is None and fields.get("origin") is not None:
                    raise DataFileError(f"{place}: has an origin, but the first row has none")
                if self.origin is not None and (checked is None or fields.get("origin") != checked):
                    check_comparable(self.origin, _origin(fields, place), str(place))
                    checked = fields["origin"]
                batch[filled] = _vector(fields, place, dimensions)
                filled += 1
                if filled == len(batch):
                    yield batch
                    batch, filled = np.empty_like(batch), 0
        yield batch[:filled]

    def read_column(self, column: str) -> Iterator[Any]:
        """See `VectorFile.read_column`."""
        with self._lines() as lines:
            for fields, _ in read_objects(lines, self._file.name):
                yield fields.get(column)

    def ids_and_texts(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """See `VectorFile.ids_and_texts`. Only the lines of `rows` are parsed."""
        selected = set(rows.tolist())
        result: dict[int, tuple[str, str | None]] = {}
        with self._lines() as lines:
            for row, line in enumerate(lines):
                if len(result) == len(selected):
                    break
                if row in selected:
                    result[row] = _id_and_text(line, Place(self._file.name, row + 1))
        return result

    @contextlib.contextmanager
    def _lines(self) -> Iterator[Iterator[str]]:
        with contextlib.closing(read_byte_lines(self._file, ReadProgress([]))) as lines:
            yield decode_lines(lines, self._file.name)


def _origin(fields: dict[str, Any], place: Place) -> Origin:
    at = place._replace(field="origin")
    return Origin.from_json(get_field(fields, at), str(at))


def _count_dimensions(fields: dict[str, Any], place: Place) -> int:
    at = place._replace(field="vector")
    numbers = get_field(fields, at)
    if not isinstance(numbers, list) or not numbers:
        raise DataFileError(f"{at}: expected a list of numbers, found {describe_value(numbers)}")
    return len(numbers)


def _vector(fields: dict[str, Any], place: Place, dimensions: int) -> np.ndarray:
    at = place._replace(field="vector")
    numbers = get_field(fields, at)
    try:
        vector = np.array(numbers)
        with np.errstate(over="ignore"):
            fits = vector.dtype.kind in "iuf" and np.isfinite(vector.astype(np.float32)).all()
    except ValueError:  # lists of unequal lengths
        fits = False
    if not fits or vector.shape != (dimensions,):
        raise DataFileError(
            f"{at}: expected {dimensions} finite float32 numbers, as in its origin or the first "
            f"row; found {describe_value(numbers)}"
        )
    return vector


def _id_and_text(line: str, place: Place) -> tuple[str, str | None]:
    fields = parse_object(line, place)
    at = place._replace(field="id")
    row_id = parse_id(fields["id"], at) if "id" in fields else str(place.row - 1)
    text = fields.get("text")
    return row_id, text if isinstance(text, str) else None
