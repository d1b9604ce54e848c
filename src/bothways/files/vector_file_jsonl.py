"""Vectors in JSON Lines. Each row has its origin, as rows of several files may be joined."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from bothways.errors import DataFileError
from bothways.files.byte_lines import read_byte_lines
from bothways.files.decoding import decode_lines
from bothways.files.formats import InputFile
from bothways.files.jsonl import get_field, parse_object, read_objects
from bothways.files.origin import Origin, check_comparable
from bothways.files.rows import Place, ReadProgress
from bothways.files.values import describe_value, parse_id

__all__ = ["JsonlVectorFile"]

_BATCH_BYTES = 1 << 23


class JsonlVectorFile:
    """A .jsonl file, possibly compressed. Its origin is that of the first row."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        with self._lines() as lines:
            first = next(read_objects(lines, file.name), None)
        if first is None:
            raise DataFileError(f"{file.name}: no rows, so the model and settings are unknown")
        self.origin = _origin(*first)

    def batches(self) -> Iterator[np.ndarray]:
        """See `VectorFile.batches`; also raises if the origins of rows differ."""
        dimensions = self.origin.dimensions
        batch = np.empty((max(1, _BATCH_BYTES // (4 * dimensions)), dimensions), np.float32)
        filled = 0
        checked: Any = None  # the last origin that was compared
        with self._lines() as lines:
            for fields, place in read_objects(lines, self._file.name):
                if checked is None or fields.get("origin") != checked:
                    check_comparable(self.origin, _origin(fields, place), str(place))
                    checked = fields["origin"]
                batch[filled] = _vector(fields, place, dimensions)
                filled += 1
                if filled == len(batch):
                    yield batch
                    batch, filled = np.empty_like(batch), 0
        yield batch[:filled]

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
            f"{at}: expected {dimensions} finite float32 numbers, as in its origin; "
            f"found {describe_value(numbers)}"
        )
    return vector


def _id_and_text(line: str, place: Place) -> tuple[str, str | None]:
    fields = parse_object(line, place)
    at = place._replace(field="id")
    text = fields.get("text")
    return parse_id(get_field(fields, at), at), text if isinstance(text, str) else None
