"""Scans of stored vectors in C++: dot products with queries, and Hamming distances of sign bits.

n rows; q queries; d columns; w words of 64 bits.
"""

import functools

import numpy as np
from jaxtyping import Float32, Int32, UInt64

from bothways.errors import BackendError
from bothways.native.backend import EngineErrors, choose_isa, num_threads, require_engine

__all__ = ["VectorScanner", "hamming_distances", "scan_vectors"]


class VectorScanner:
    """Scans rows of vectors with a pool of threads.

    threads, isa: as for `NativeBackend`. The bits of a result depend on its row and its query
    alone: not on other rows and queries, nor on the number of threads. They may differ in the last
    digits between instruction sets.

    Raises:
        BackendError: as `NativeBackend` raises it.
    """

    def __init__(self, *, threads: int | None = None, isa: str | None = None) -> None:
        require_engine()
        from bothways.native import _engine

        try:
            self._scanner = _engine.Scanner(
                threads=num_threads(threads),
                isa=choose_isa(isa),
            )
        except ValueError as error:
            raise BackendError(f"native engine: {error}") from error

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._scanner.isa

    @property
    def threads(self) -> int:
        """The number of threads."""
        return self._scanner.threads

    def dots(
        self, rows: Float32[np.ndarray, "n d"], queries: Float32[np.ndarray, "q d"]
    ) -> tuple[Float32[np.ndarray, "q n"], Float32[np.ndarray, "n"]]:
        """Dot products of every query with every row, and the squared lengths of the rows."""
        rows = np.ascontiguousarray(rows, np.float32)
        queries = np.ascontiguousarray(queries, np.float32)
        products = np.empty((len(queries), len(rows)), np.float32)
        squares = np.empty(len(rows), np.float32)
        with EngineErrors():
            self._scanner.dots(rows, queries, products, squares)
        return products, squares

    def hamming(
        self, rows: UInt64[np.ndarray, "n w"], query: UInt64[np.ndarray, "w"]
    ) -> Int32[np.ndarray, "n"]:
        """Number of bits in which each row differs from the query."""
        rows = np.ascontiguousarray(rows, np.uint64)
        distances = np.empty(len(rows), np.int32)
        with EngineErrors():
            self._scanner.hamming(rows, np.ascontiguousarray(query, np.uint64), distances)
        return distances


def scan_vectors(
    rows: Float32[np.ndarray, "n d"], queries: Float32[np.ndarray, "q d"]
) -> tuple[Float32[np.ndarray, "q n"], Float32[np.ndarray, "n"]]:
    """`VectorScanner.dots` with the default number of threads and instruction set."""
    return _default_scanner().dots(rows, queries)


def hamming_distances(
    rows: UInt64[np.ndarray, "n w"], query: UInt64[np.ndarray, "w"]
) -> Int32[np.ndarray, "n"]:
    """`VectorScanner.hamming` with the default number of threads and instruction set."""
    return _default_scanner().hamming(rows, query)


@functools.cache
def _default_scanner() -> VectorScanner:
    return VectorScanner()
