"""Reading files of vectors, in each format that `bothways encode` writes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from bothways.errors import DataFileError
from bothways.files.formats import STDIN, FileOptions, require_parquet, resolve_input
from bothways.files.inputs import check_readable
from bothways.files.origin import Origin
from bothways.files.vector_file_jsonl import JsonlVectorFile
from bothways.files.vector_file_npy import NpyVectorFile

__all__ = ["VectorFile", "open_vector_file"]

_MAX_LINE_BYTES = 1 << 30
"""A line holds the text of a row and its vector; `bothways encode` limits the text."""


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
    check_readable(path)
    file = resolve_input(path, FileOptions(max_row_size=_MAX_LINE_BYTES))
    match file.format:
        case "jsonl":
            yield JsonlVectorFile(file)
        case "parquet":
            require_parquet(path)
            from bothways.files.vector_file_parquet import open_parquet_vectors

            with open_parquet_vectors(path) as parquet:
                yield parquet
        case _:
            raise DataFileError(
                f"{path}: expected a .parquet, .npy or .jsonl file written by bothways encode"
            )
