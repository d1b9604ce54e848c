"""Vectors in fewer bits: one byte or one bit per dimension.

The definitions are those of sentence-transformers (`quantize_embeddings`, version 6.2), so that
codes of either library can be compared with the other's.

    uint8    clip(floor((x - low) / step), 0, 255) with step = (high - low) / 255 of each dimension
    int8     the same less 128
    ubinary  the signs of 8 dimensions in a byte, the first in its highest bit: 1 for x > 0
    binary   the same less 128, as int8
"""

import dataclasses
from typing import Any, Literal, assert_never, get_args

import numpy as np
from jaxtyping import Float, Float32, Integer

from bothways.errors import InputError

__all__ = ["QuantizedVectors", "VectorPrecision", "quantization_ranges", "quantize"]

VectorPrecision = Literal["int8", "uint8", "binary", "ubinary"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class QuantizedVectors:
    """Codes of n vectors, and what is needed to read them. `np.asarray` gives the codes.

    codes: (n, d) of int8 or uint8; for bits (n, d / 8 rounded up), with zeros after the last one.
    precision: of the codes.
    dimensions: d, of the vectors.
    ranges: lowest and highest value of each dimension (2, d); None for bits.
    """

    codes: Integer[np.ndarray, "n width"]
    precision: VectorPrecision
    dimensions: int
    ranges: Float32[np.ndarray, "2 d"] | None

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"QuantizedVectors({len(self.codes)} x {self.dimensions}, {self.precision})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.codes, dtype, copy=copy)

    def restore(self) -> Float32[np.ndarray, "n d"]:
        """Approximate vectors: the middle of each code's interval; for bits, 1 and -1."""
        match self.precision:
            case "int8" | "uint8":
                if self.ranges is None:
                    raise InputError(f"{self.precision} codes have no ranges")
                steps = (self.ranges[1] - self.ranges[0]) / np.float32(255)
                levels = self.codes.astype(np.float32) + (128 if self.precision == "int8" else 0)
                # The highest value of a dimension is the only one with the code 255.
                restored = self.ranges[0] + (levels + np.float32(0.5)) * steps
                return np.asarray(np.minimum(restored, self.ranges[1]), np.float32)
            case "binary" | "ubinary":
                bits = np.unpackbits(self.bits(), axis=1, count=self.dimensions)
                return np.asarray(bits, np.float32) * 2 - 1
            case unknown:
                assert_never(unknown)

    def bits(self) -> Integer[np.ndarray, "n bytes"]:
        """The signs of the dimensions as bytes (uint8), in either binary precision.

        Raises:
            InputError: if the codes are not bits.
        """
        match self.precision:
            case "binary":
                return (self.codes.astype(np.int16) + 128).astype(np.uint8)
            case "ubinary":
                return self.codes
            case "int8" | "uint8":
                raise InputError(f"{self.precision} codes are not bits")
            case unknown:
                assert_never(unknown)


def quantize(
    vectors: Float[np.ndarray, "n d"],
    precision: VectorPrecision,
    ranges: Float[np.ndarray, "2 d"] | None = None,
) -> QuantizedVectors:
    """Quantize vectors to a byte (`int8`, `uint8`) or a bit (`binary`, `ubinary`) per dimension.

    To use fewer dimensions of a Matryoshka model, cut and normalize the vectors first.

    ranges: lowest and highest value of each dimension, for bytes; by default those of `vectors`.
        Codes can be compared only if they have the same ranges, so compute them once, from a sample
        of all vectors (`quantization_ranges`), and keep them with the codes.

    Raises:
        InputError: if vectors or ranges do not have two dimensions, hold integers, NaN, infinity or
            masked values, or if ranges are missing and there are fewer than two vectors.
    """
    if precision not in get_args(VectorPrecision):
        known = ", ".join(get_args(VectorPrecision))
        raise InputError(f"precision={precision!r}: expected one of {known}")
    vectors = _check(vectors)
    match precision:
        case "int8" | "uint8":
            ranges = (
                quantization_ranges(vectors) if ranges is None else _check_ranges(ranges, vectors)
            )
            levels = _levels(vectors, ranges)
            codes = (
                (levels - 128).astype(np.int8) if precision == "int8" else levels.astype(np.uint8)
            )
            return QuantizedVectors(codes, precision, vectors.shape[1], ranges)
        case "binary" | "ubinary":
            bits = np.packbits(vectors > 0, axis=1)
            codes = (
                bits if precision == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
            )
            return QuantizedVectors(codes, precision, vectors.shape[1], None)
        case unknown:
            assert_never(unknown)


def quantization_ranges(vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "2 d"]:
    """Lowest and highest value of each dimension, over a sample of the vectors to quantize.

    Raises:
        InputError: if there are fewer than two vectors, or they hold NaN, infinity or masked
            values.
    """
    vectors = _check(vectors)
    if len(vectors) < 2:
        raise InputError(
            f"ranges of {len(vectors)} vectors: expected at least two, and better some thousand; "
            "give ranges="
        )
    return np.stack([vectors.min(axis=0), vectors.max(axis=0)]).astype(np.float32)


def _levels(vectors: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    steps = (ranges[1] - ranges[0]) / 255
    steps = np.where(steps == 0, 1, steps)
    levels: np.ndarray = np.clip(np.floor((vectors - ranges[0]) / steps), 0, 255)
    return levels


def _check(vectors: np.ndarray) -> np.ndarray:
    if np.ma.is_masked(vectors):
        row = int(np.ma.getmaskarray(vectors).nonzero()[0][0])
        raise InputError(f"vector {row} holds masked values; fill or drop them first")
    vectors = np.asarray(vectors)
    if vectors.ndim != 2:
        raise InputError(f"vectors have shape {vectors.shape}; expected (vectors, dimensions)")
    if vectors.dtype.kind != "f":
        raise InputError(f"vectors are {vectors.dtype}; expected floating point numbers")
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise InputError(f"vector {row} holds NaN or infinity")
    return vectors


def _check_ranges(ranges: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    ranges = np.asarray(ranges, np.float32)
    if ranges.shape != (2, vectors.shape[1]):
        raise InputError(f"ranges have shape {ranges.shape}; expected (2, {vectors.shape[1]})")
    if not np.isfinite(ranges).all() or (ranges[0] > ranges[1]).any():
        raise InputError("ranges: expected the lowest values, then the highest, all finite")
    return ranges
