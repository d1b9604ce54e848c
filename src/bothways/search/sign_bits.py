"""The signs of vectors as bits, and the rows whose signs differ least from a query's.

n rows; q queries; d dimensions; w = d / 64 words, rounded up.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float32, Int32, UInt64

from bothways import native
from bothways.model.quantization import quantize
from bothways.native.backend import num_threads

__all__ = ["NearestBits", "hamming_distances", "num_words", "pack_signs"]

_BLOCK_ROWS = 1 << 18
_BLOCK_BYTES = 1 << 21
"""For several queries, a block of bits that stays in the cache of a core."""

_PER_THREAD = 4
"""Queries per thread from which each thread has its own, and none waits for another."""

_ROW_BITS = 40
"""A key has the distance above these bits and the row in them, so that equal distances are ordered
by row."""

_FARTHEST = np.iinfo(np.int32).max


def num_words(dimensions: int) -> int:
    """Words of 64 bits for the signs of a vector."""
    return -(-dimensions // 64)


def pack_signs(vectors: Float32[np.ndarray, "n d"]) -> UInt64[np.ndarray, "n w"]:
    """The signs of the dimensions as bits (`quantize` to `ubinary`), with zeros after the last."""
    codes = quantize(vectors, "ubinary").codes
    packed = np.zeros((len(codes), 8 * num_words(vectors.shape[1])), np.uint8)
    packed[:, : codes.shape[1]] = codes
    return packed.view(np.uint64)


def hamming_distances(
    bits: UInt64[np.ndarray, "n w"], query: UInt64[np.ndarray, "w"]
) -> Int32[np.ndarray, "n"]:
    """Number of bits in which each row differs from the query: by the engine, if it is built."""
    if native.is_built():
        return native.hamming_distances(bits, query)
    return _count_bits(bits, query)


def _count_bits(bits: np.ndarray, query: np.ndarray) -> np.ndarray:
    distances: np.ndarray = np.bitwise_count(bits ^ query).sum(axis=1, dtype=np.int32)
    return distances


class NearestBits:
    """The `count` rows nearest to each query by Hamming distance, of the bits added so far.

    Equal distances are ordered by row, so that the result does not depend on how rows are added.
    Rows must be added in ascending order. Many queries are divided among threads, and a few divide
    the rows.
    """

    def __init__(self, queries: UInt64[np.ndarray, "q w"], count: int) -> None:
        self._queries, self._count = queries, count
        threads = num_threads(None)
        self._shares = np.array_split(
            np.arange(len(queries)), threads if len(queries) >= _PER_THREAD * threads else 1
        )
        self._keys = [np.empty(0, np.int64) for _ in queries]
        self._bounds = [_FARTHEST] * len(queries)
        """The distance that a further row must be below."""

    def add(
        self, bits: UInt64[np.ndarray, "n w"], start: int, selected: np.ndarray | None = None
    ) -> None:
        """Add rows, numbered from `start`.

        selected: whether to search each row, by its number; None for all.
        """
        if len(self._shares) == 1:
            self._add(self._shares[0], bits, start, selected, hamming_distances)
            return
        with ThreadPoolExecutor(len(self._shares)) as pool:
            scan = native.VectorScanner(threads=1).hamming if native.is_built() else _count_bits
            adding = [
                pool.submit(self._add, share, bits, start, selected, scan) for share in self._shares
            ]
        for each in adding:
            each.result()

    def _add(
        self,
        numbers: np.ndarray,
        bits: UInt64[np.ndarray, "n w"],
        start: int,
        selected: np.ndarray | None,
        scan: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> None:
        """Add rows for the queries with these numbers."""
        row_bytes = max(1, 8 * bits.shape[1])
        step = _BLOCK_ROWS if len(self._queries) == 1 else max(1, _BLOCK_BYTES // row_bytes)
        for first in range(0, len(bits), step):
            block = bits[first : first + step]
            rows = slice(start + first, start + first + len(block))
            excluded = None if selected is None else ~selected[rows]
            for number in numbers.tolist():
                distances = scan(block, self._queries[number])
                if excluded is not None:
                    distances[excluded] = _FARTHEST
                nearer = np.flatnonzero(distances < self._bound(number, distances))
                if len(nearer):
                    self._merge(number, distances[nearer].astype(np.int64), rows.start + nearer)

    def _bound(self, number: int, distances: Int32[np.ndarray, "n"]) -> int:
        """The distance that the rows of a block must be below to be merged."""
        if self._bounds[number] < _FARTHEST or len(distances) <= self._count:
            return self._bounds[number]
        farthest = int(np.partition(distances, self._count - 1)[self._count - 1])
        return min(farthest + 1, _FARTHEST)

    def _merge(self, number: int, distances: np.ndarray, rows: np.ndarray) -> None:
        keys = np.concatenate([self._keys[number], distances << _ROW_BITS | rows])
        if len(keys) >= self._count:
            keys = np.partition(keys, self._count - 1)[: self._count]
            self._bounds[number] = int(keys[-1] >> _ROW_BITS)
        self._keys[number] = keys

    @property
    def rows(self) -> list[np.ndarray]:
        """For each query its rows (up to `count`,), in ascending order."""
        return [np.sort(keys & ((1 << _ROW_BITS) - 1)) for keys in self._keys]
