"""Vectors in an array of NumPy's format that says nothing of their origin."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bothways.errors import DataFileError

__all__ = ["ArrayVectorFile"]

_BATCH_BYTES = 1 << 23


class ArrayVectorFile:
    """A .npy file without a file of its origin, of any floating point type and order of axes.

    The id of a row is its number.

    Raises:
        DataFileError: if it is damaged, or not a floating point array of two axes.
    """

    origin = None

    def __init__(self, path: str) -> None:
        self.name = path
        self.columns = ["id"]
        try:
            self._array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # a malformed header raises almost anything
            raise DataFileError(f"{path}: not a .npy file of numbers: {error}") from error
        array = self._array
        if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind != "f":
            type_ = f"{array.dtype} of shape {array.shape}" if hasattr(array, "dtype") else "others"
            raise DataFileError(f"{path}: expected rows of floating point numbers, found {type_}")
        self.dimensions = int(array.shape[1])

    def batches(self) -> Iterator[np.ndarray]:
        """See `VectorFile.batches`."""
        rows = max(1, _BATCH_BYTES // (4 * max(1, self.dimensions)))
        for start in range(0, len(self._array), rows):
            with np.errstate(over="ignore"):  # search refuses infinity
                yield np.ascontiguousarray(self._array[start : start + rows], np.float32)

    def read_column(self, column: str) -> Iterator[Any]:
        """See `VectorFile.read_column`; the only column is `id`."""
        yield from range(len(self._array))

    def ids_and_texts(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """See `VectorFile.ids_and_texts`."""
        return {row: (str(row), None) for row in rows.tolist()}
