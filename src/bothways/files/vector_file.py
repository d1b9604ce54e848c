"""Reading files of vectors, in each format that `bothways encode` writes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from bothways.errors import DataFileError
from bothways.files.formats import STDIN
from bothways.files.inputs import check_inputs, check_readable
from bothways.files.origin import Origin
from bothways.files.vector_file_jsonl import JsonlVectorFile
from bothways.files.vector_file_npy import NpyVectorFile

__all__ = ["VectorFile", "open_vector_file"]


class VectorFile(Protocol):
    """A file of vectors, which can be read several times, one batch at a time."""

    @property
    def origin(self) -> Origin:
        """The model and settings that made the vectors."""

    def batches(self) -> Iterator[np.ndarray]:
        """Yield all vectors in order, in batches float32 (rows, d).

        Raises:
            DataFileError: if the file is damaged, or its vectors do not agree with its origin.
        """

    def ids_and_texts(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """The id and text of each of `rows` (row numbers from 0); None for a missing text.

        Raises:
            DataFileError: if the file is damaged.
        """


@contextlib.contextmanager
def open_vector_file(path: str) -> Iterator[VectorFile]:
    """Open a file of vectors; its suffix determines the format.

    Raises:
        DataFileError: if `bothways encode` did not write it, or it is damaged.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    if Path(path).suffix.lower() == ".npy":
        check_readable(path)
        with NpyVectorFile(path) as npy:
            yield npy
        return
    if path == STDIN:
        raise DataFileError(
            "standard input cannot be searched, because the search reads it twice; give a file"
        )
    (file,) = check_inputs([path])
    match file.format:
        case "jsonl":
            yield JsonlVectorFile(file)
        case "parquet":
            from bothways.files.vector_file_parquet import open_parquet_vectors

            with open_parquet_vectors(path) as parquet:
                yield parquet
        case _:
            raise DataFileError(
                f"{path}: expected a .parquet, .npy or .jsonl file written by bothways encode"
            )
