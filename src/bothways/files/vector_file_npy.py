"""Vectors in NumPy's format, with their origin in a .json file beside it, and without texts."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from bothways.errors import CheckpointError, DataFileError
from bothways.files.origin import Origin
from bothways.io.json_files import read_json

__all__ = ["NpyVectorFile", "sidecar_of"]

_BATCH_BYTES = 1 << 23


def sidecar_of(path: str) -> Path:
    """The path of the file with the origin of a .npy file."""
    return Path(f"{path}.json")


class NpyVectorFile:
    """A .npy file. The id of a row is its number."""

    def __init__(self, path: str) -> None:
        self._path = path
        sidecar = sidecar_of(path)
        if not sidecar.is_file():
            raise DataFileError(
                f"{sidecar}: no such file; bothways encode writes the model and settings into it: "
                f"keep it beside {path}"
            )
        try:
            fields = read_json(sidecar)
        except CheckpointError as error:
            raise DataFileError(str(error)) from error
        self.origin = Origin.from_json(fields, str(sidecar))

    def __enter__(self) -> Self:
        """Open the file."""
        self._file = Path(self._path).open("rb")
        try:
            self._check()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def batches(self) -> Iterator[np.ndarray]:
        """See `VectorFile.batches`."""
        dimensions = self.origin.dimensions
        rows = max(1, _BATCH_BYTES // (4 * dimensions))
        self._file.seek(self._start)
        while data := self._file.read(rows * dimensions * 4):
            yield np.frombuffer(data, "<f4").reshape(-1, dimensions)

    def ids_and_texts(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """See `VectorFile.ids_and_texts`."""
        return {row: (str(row), None) for row in rows.tolist()}

    def _check(self) -> None:
        """Raise unless the file has the header and size that `bothways encode` writes."""
        try:
            np.lib.format.read_magic(self._file)
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(self._file)
        except (ValueError, EOFError) as error:
            raise DataFileError(
                f"{self._path}: not a .npy file that bothways encode wrote: {error}"
            ) from error
        self._start = self._file.tell()
        dimensions = self.origin.dimensions
        if dtype != np.dtype("<f4") or is_fortran or len(shape) != 2 or shape[1] != dimensions:
            raise DataFileError(
                f"{self._path}: holds {dtype} of shape {shape}; expected float32 in rows of "
                f"{dimensions}, as in {sidecar_of(self._path).name}"
            )
        size = os.fstat(self._file.fileno()).st_size - self._start
        if size != shape[0] * dimensions * 4:
            raise DataFileError(
                f"{self._path}: damaged or truncated: {shape[0]} rows of {dimensions} float32 "
                f"take {shape[0] * dimensions * 4} bytes, but it has {size}"
            )
