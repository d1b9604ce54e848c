"""A file of vectors, opened to be searched, in each format that `bothways encode` writes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from bothways.errors import DataFileError
from bothways.files.formats import STDIN, check_inputs, check_readable
from bothways.files.origin import Origin
from bothways.files.vector_file_jsonl import StoredJsonl
from bothways.files.vector_file_npy import StoredNpy

__all__ = ["StoredVectors", "stored_vectors"]


class StoredVectors(Protocol):
    """The rows of a file of vectors, read a part at a time and as often as one likes."""

    @property
    def origin(self) -> Origin:
        """What made the vectors."""

    def parts(self) -> Iterator[np.ndarray]:
        """All vectors in order, float32 (rows, d) after float32 (rows, d).

        Raises:
            DataFileError: if the file is damaged, or its vectors are not what its origin says.
        """

    def names(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """Id and text of `rows`, numbers of rows from 0; None for a text that is not in the file.

        Raises:
            DataFileError: if the file is damaged.
        """


@contextlib.contextmanager
def stored_vectors(path: str) -> Iterator[StoredVectors]:
    """Open a file of vectors by what its name says it is.

    Raises:
        DataFileError: if `bothways encode` did not write it, or it is damaged.
        MissingExtra: for parquet, where the library for it is not installed.
    """
    if Path(path).suffix.lower() == ".npy":
        check_readable(path)
        with StoredNpy(path) as npy:
            yield npy
        return
    if path == STDIN:
        raise DataFileError("standard input cannot be searched, as it is read twice; give a file")
    (file,) = check_inputs([path])
    match file.format:
        case "jsonl":
            yield StoredJsonl(file)
        case "parquet":
            from bothways.files.vector_file_parquet import opened_parquet

            with opened_parquet(path) as parquet:
                yield parquet
        case _:
            raise DataFileError(
                f"{path}: expected a .parquet, .npy or .jsonl file written by bothways encode"
            )
