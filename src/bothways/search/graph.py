"""A graph over vectors in a file, which finds near rows in a few steps.

usearch builds the graph (HNSW, Malkov and Yashunin 2016) in memory, from vectors of length 1 in
bf16, and a search maps the file. n rows; d dimensions; q queries.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from bothways.errors import DataFileError, MissingExtra
from bothways.files.nearest import normalize
from bothways.io.cpus import available_cpus

__all__ = ["VectorGraph", "has_usearch", "require_usearch"]

_CONNECTIVITY = 16
"""Neighbors of a row in each layer of the graph, and twice as many in the lowest."""

_BUILD_BREADTH = 128
"""Rows that are considered as neighbors of a new one."""

_ROW_BITS = 40
"""A key has the part above these bits, and its row in them."""


def has_usearch() -> bool:
    """Whether the extra `[index]` is installed."""
    try:
        require_usearch()
    except MissingExtra:
        return False
    return True


class VectorGraph:
    """Rows of parts, which are numbered from 0."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def create(cls, dimensions: int) -> "VectorGraph":
        """A graph without rows.

        Raises:
            MissingExtra: if usearch is not installed.
        """
        index = require_usearch().Index(
            ndim=dimensions,
            metric="ip",
            dtype="bf16",
            connectivity=_CONNECTIVITY,
            expansion_add=_BUILD_BREADTH,
            enable_key_lookups=False,
        )
        return cls(index)

    @classmethod
    def open(cls, path: Path, dimensions: int, *, mapped: bool = True) -> "VectorGraph":
        """The graph in a file.

        mapped: whether to read the file as it is needed; rows can then not be added.

        Raises:
            DataFileError: if the file has no graph over vectors of these dimensions.
            MissingExtra: if usearch is not installed.
        """
        try:
            index = require_usearch().Index.restore(str(path), view=mapped)
        except (ValueError, RuntimeError, OSError) as error:
            raise DataFileError(f"{path}: {error}; {_again(path)}") from error
        if index is None or index.ndim != dimensions:
            raise DataFileError(
                f"{path}: no graph over vectors of {dimensions} dimensions; {_again(path)}"
            )
        index.expansion_add = _BUILD_BREADTH
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the graph.

        Raises:
            OSError: if the file cannot be written.
        """
        try:
            self._index.save(str(path))
        except RuntimeError as error:
            raise OSError(str(error)) from error

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._index)

    def add(self, vectors: Float32[np.ndarray, "n d"], part: int, row: int) -> None:
        """Add the rows of a part, from `row` on."""
        if len(vectors):
            first = (part << _ROW_BITS) + row
            keys = np.arange(first, first + len(vectors), dtype=np.uint64)
            self._index.add(keys, normalize(vectors), threads=available_cpus(), copy=True)

    def nearest(
        self, queries: Float32[np.ndarray, "q d"], count: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each query up to `count` rows near it: their parts and their rows in these.

        More rows also make the search broader: those found first are nearer.
        """
        count = min(count, len(self))
        if count == 0:
            return [(np.empty(0, np.int64), np.empty(0, np.int64)) for _ in queries]
        self._index.expansion_search = count
        threads = 1 if len(queries) == 1 else available_cpus()
        matches = self._index.search(normalize(queries), count, threads=threads)
        keys = np.asarray(matches.keys).reshape(len(queries), -1).astype(np.int64)
        counts = np.reshape(getattr(matches, "counts", keys.shape[1]), -1)
        return [
            (row[:n] >> _ROW_BITS, row[:n] & ((1 << _ROW_BITS) - 1))
            for row, n in zip(keys, np.broadcast_to(counts, len(keys)).tolist(), strict=True)
        ]


def _again(path: Path) -> str:
    return f"delete {path.parent} and index the folder again"


def require_usearch() -> Any:
    """The module of the extra `[index]`.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        import usearch.index
    except ImportError as error:
        raise MissingExtra("index", "a graph index") from error
    return usearch.index
