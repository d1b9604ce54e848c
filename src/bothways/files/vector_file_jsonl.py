"""Vectors in JSON Lines, each row with its origin: rows of several files may have been joined."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from bothways.errors import DataFileError
from bothways.files.byte_lines import byte_lines
from bothways.files.decoding import decoded_lines
from bothways.files.formats import InputFile
from bothways.files.jsonl import field_of, object_of, objects
from bothways.files.origin import Origin, check_comparable
from bothways.files.rows import Meter, Place
from bothways.files.values import found, id_of

__all__ = ["StoredJsonl"]

_PART_BYTES = 1 << 23


class StoredJsonl:
    """The rows of a .jsonl file, which may be compressed; its origin is that of the first row."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        with self._lines() as lines:
            first = next(objects(lines, file.name), None)
        if first is None:
            raise DataFileError(f"{file.name}: has no rows, so nothing says what made them")
        self.origin = _origin(*first)

    def parts(self) -> Iterator[np.ndarray]:
        """See `StoredVectors.parts`; also raises if rows are of different origin."""
        dimensions = self.origin.dimensions
        part = np.empty((max(1, _PART_BYTES // (4 * dimensions)), dimensions), np.float32)
        filled = 0
        seen: Any = None
        with self._lines() as lines:
            for fields, place in objects(lines, self._file.name):
                if fields.get("origin") != seen or seen is None:
                    check_comparable(self.origin, _origin(fields, place), str(place))
                    seen = fields["origin"]
                part[filled] = _vector(fields, place, dimensions)
                filled += 1
                if filled == len(part):
                    yield part
                    part, filled = np.empty_like(part), 0
        yield part[:filled]

    def names(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """See `StoredVectors.names`. Only the lines of `rows` are parsed again."""
        wanted = set(rows.tolist())
        names: dict[int, tuple[str, str | None]] = {}
        with self._lines() as lines:
            for row, line in enumerate(lines):
                if len(names) == len(wanted):
                    break
                if row in wanted:
                    names[row] = _name(line, Place(self._file.name, row + 1))
        return names

    @contextlib.contextmanager
    def _lines(self) -> Iterator[Iterator[str]]:
        with contextlib.closing(byte_lines(self._file, Meter([]))) as lines:
            yield decoded_lines(lines, self._file.name)


def _origin(fields: dict[str, Any], place: Place) -> Origin:
    at = place._replace(field="origin")
    return Origin.from_json(field_of(fields, at), str(at))


def _vector(fields: dict[str, Any], place: Place, dimensions: int) -> np.ndarray:
    at = place._replace(field="vector")
    numbers = field_of(fields, at)
    try:
        vector = np.array(numbers)
        with np.errstate(over="ignore"):
            fits = vector.dtype.kind in "iuf" and np.isfinite(vector.astype(np.float32)).all()
    except ValueError:  # lists of unequal lengths
        fits = False
    if not fits or vector.shape != (dimensions,):
        raise DataFileError(
            f"{at}: expected {dimensions} finite float32 numbers, as its origin says; "
            f"found {found(numbers)}"
        )
    return vector


def _name(line: str, place: Place) -> tuple[str, str | None]:
    fields = object_of(line, place)
    at = place._replace(field="id")
    text = fields.get("text")
    return id_of(field_of(fields, at), at), text if isinstance(text, str) else None
