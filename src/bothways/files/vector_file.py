"""Reading files of vectors, in each format that `bothways encode` writes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bothways.errors import DataFileError
from bothways.files.formats import STDIN, FileOptions, require_parquet, resolve_input
from bothways.files.inputs import check_readable
from bothways.files.origin import Origin
from bothways.files.sidecar import sidecar_of
from bothways.files.vector_file_array import ArrayVectorFile
from bothways.files.vector_file_jsonl import JsonlVectorFile
from bothways.files.vector_file_npy import NpyVectorFile
from bothways.files.vector_folder import VectorFolder

__all__ = ["VectorFile", "open_vector_file"]

_MAX_LINE_BYTES = 1 << 30
"""A line holds the text of a row and its vector; `bothways encode` limits the text."""


class VectorFile(Protocol):
    """A file of vectors, which can be read several times, one batch at a time.

    name: for messages.
    """

    name: str

    @property
    def origin(self) -> Origin | None:
        """The model and settings that made the vectors; None if a trusted file does not say."""

    @property
    def dimensions(self) -> int | None:
        """The number of dimensions; None for a trusted file without rows."""

    @property
    def columns(self) -> list[str]:
        """The columns beside the vectors."""

    def batches(self) -> Iterator[np.ndarray]:
        """Yield all vectors in order, in batches float32 (rows, d).

        Raises:
            DataFileError: if the file is damaged, or its vectors do not agree with its origin.
        """

    def read_column(self, column: str) -> Iterator[Any]:
        """Yield the value of each row in one of `columns`, in order; None for a missing value.

        Raises:
            DataFileError: if the file is damaged.
        """

    def ids_and_texts(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """The id and text of each of `rows` (row numbers from 0); None for a missing text.

        Raises:
            DataFileError: if the file is damaged.
        """


@contextlib.contextmanager
def open_vector_file(path: str, *, trust: bool = False) -> Iterator[VectorFile]:
    """Open a file of vectors, or a folder of .parquet files.

    The suffix determines the format; without one, the content.

    trust: also open a file that does not say which model made its vectors, as other programs write
        it: Parquet or JSON Lines with a column `vector`, or a .npy array of two axes.

    Raises:
        DataFileError: if `bothways encode` did not write it, or it is damaged.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    if Path(path).is_dir():
        yield VectorFolder(path, trust=trust)
        return
    if path == STDIN:
        raise DataFileError(
            "standard input cannot be searched, because the search reads it twice; give a file"
        )
    check_readable(path)
    file = resolve_input(path, FileOptions(max_row_size=_MAX_LINE_BYTES))
    match file.format:
        case "jsonl":
            yield JsonlVectorFile(file, trust=trust)
        case "parquet":
            require_parquet(path)
            from bothways.files.vector_file_parquet import open_parquet_vectors

            with open_parquet_vectors(path, trust=trust) as parquet:
                yield parquet
        case "npy" if file.compression is None:
            if trust and not sidecar_of(path).exists():
                yield ArrayVectorFile(path)
                return
            with NpyVectorFile(path) as npy:
                yield npy
        case _:
            raise DataFileError(
                f"{path}: expected a .parquet, .npy or .jsonl file written by bothways encode"
            )
