"""Vectors in NumPy's format, with their origin and ids in files beside it, and without texts."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np

from bothways.errors import DataFileError
from bothways.files.array_digest import hash_file, hash_samples
from bothways.files.row_ids import read_row_ids, row_ids_of
from bothways.files.sidecar import Sidecar, sidecar_of
from bothways.files.vector_form import VectorCodec
from bothways.io.json_files import brief

__all__ = ["NpyVectorFile"]

_BATCH_BYTES = 1 << 23

_FULL_DIGEST_BYTES = 1 << 25
"""Files up to this size are read whole to compare their digest, and samples of larger ones."""


class NpyVectorFile:
    """A .npy file. The id of a row is its number, unless there is a file of ids."""

    def __init__(self, path: str) -> None:
        self._path = self.name = path
        self.columns = ["id"]
        self._sidecar = Sidecar.read(sidecar_of(path))
        self.origin = self._sidecar.origin
        self.dimensions = self.origin.dimensions
        self._codec = VectorCodec.of(self.origin, self._sidecar.ranges, path)

    def __enter__(self) -> Self:
        """Open the file."""
        self._file = Path(self._path).open("rb")
        try:
            self._rows = self._check()
            self._check_sidecar(self._rows)
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
        codec = self._codec
        rows = max(1, _BATCH_BYTES // (4 * codec.dimensions))
        self._file.seek(self._start)
        while data := self._file.read(rows * codec.row_bytes):
            yield codec.decode(np.frombuffer(data, codec.dtype).reshape(-1, codec.width))

    def read_column(self, column: str) -> Iterator[Any]:
        """See `VectorFile.read_column`; the only column is `id`."""
        return self._ids()

    def ids_and_texts(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """See `VectorFile.ids_and_texts`."""
        selected = set(rows.tolist())
        return {row: (name, None) for row, name in enumerate(self._ids()) if row in selected}

    def _ids(self) -> Iterator[str]:
        """The ids of all rows."""
        if self._sidecar.ids_sha256 is None:
            return map(str, range(self._rows))
        return read_row_ids(row_ids_of(self._path), self._sidecar.ids_sha256)

    def _check(self) -> int:
        """The number of rows, if the header and size are as `bothways encode` writes them."""
        try:
            np.lib.format.read_magic(self._file)
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(self._file)
        # NumPy evaluates the header as Python, which can raise almost any exception.
        except Exception as error:
            raise DataFileError(
                f"{self._path}: not a .npy file that bothways encode wrote: {brief(str(error))}"
            ) from error
        self._start = self._file.tell()
        codec = self._codec
        if dtype != codec.dtype or is_fortran or len(shape) != 2 or shape[1] != codec.width:
            raise DataFileError(
                f"{self._path}: holds {dtype} of shape {shape}; expected {codec.dtype} in rows of "
                f"{codec.width}, as in {sidecar_of(self._path).name}"
            )
        size = os.fstat(self._file.fileno()).st_size - self._start
        if size != shape[0] * codec.row_bytes:
            raise DataFileError(
                f"{self._path}: damaged or truncated: {shape[0]} rows of {codec.width} "
                f"{codec.dtype} take {shape[0] * codec.row_bytes} bytes, but it has {size}"
            )
        return int(shape[0])

    def _check_sidecar(self, rows: int) -> None:
        """Raise unless the vectors are those that the sidecar describes, as far as it says so."""
        expected = self._sidecar
        size = os.fstat(self._file.fileno()).st_size
        if expected.rows not in (None, rows):
            self._refuse(f"{rows} rows, but {expected.rows} were written")
        if expected.bytes not in (None, size):
            self._refuse(f"{size} bytes, but {expected.bytes} were written")
        if size <= _FULL_DIGEST_BYTES:
            digest, hash_vectors = expected.sha256, hash_file
        else:
            digest, hash_vectors = expected.sample_sha256, hash_samples
        if digest is not None and hash_vectors(self._file, self._start) != digest:
            self._refuse("another digest")

    def _refuse(self, difference: str) -> NoReturn:
        raise DataFileError(
            f"{self._path}: not the vectors that {sidecar_of(self._path).name} describes "
            f"({difference}): the file was changed, or bothways encode was killed while it "
            "replaced the two; encode the sequences again with --overwrite"
        )
