"""Quantized vectors: codes equal to sentence-transformers', and the vectors that they stand for."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.errors import InputError
from bothways.model.quantization import VectorPrecision, quantization_ranges, quantize

PRECISIONS: list[VectorPrecision] = ["int8", "uint8", "binary", "ubinary"]


@pytest.fixture(scope="module")
def quantize_embeddings() -> Callable[..., Any]:
    quantization = pytest.importorskip("sentence_transformers.util.quantization")

    function: Callable[..., Any] = quantization.quantize_embeddings
    return function


def random_vectors(rows: int, dimensions: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, dimensions), np.float32)
    vectors[:, 0] = 0.25  # a dimension without a range
    vectors[0, 1:3] = [0.0, -0.0]
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dimensions", [8, 13, 384])
def test_codes_equal_those_of_sentence_transformers(
    precision: VectorPrecision, dimensions: int, quantize_embeddings: Callable[..., Any]
) -> None:
    sample, vectors = random_vectors(300, dimensions), random_vectors(50, dimensions, 1)
    ranges = quantization_ranges(sample)
    codes = quantize(vectors, precision, ranges).codes
    expected = quantize_embeddings(vectors, precision, ranges=ranges)
    assert codes.dtype == expected.dtype
    np.testing.assert_array_equal(codes, expected)


def test_ranges_equal_those_of_sentence_transformers(
    quantize_embeddings: Callable[..., Any],
) -> None:
    vectors = random_vectors(300, 24)
    np.testing.assert_array_equal(
        np.asarray(quantize(vectors, "uint8")),
        quantize_embeddings(vectors, "uint8", calibration_embeddings=vectors),
    )


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_restored_vectors_are_within_half_a_step(precision: VectorPrecision) -> None:
    vectors = random_vectors(300, 24)
    quantized = quantize(vectors, precision)
    assert quantized.ranges is not None
    step = (quantized.ranges[1] - quantized.ranges[0]) / 255
    assert (np.abs(quantized.restore() - vectors) <= 0.5001 * step + 1e-7).all()


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_restored_bits_are_the_signs(precision: VectorPrecision) -> None:
    vectors = random_vectors(20, 13)
    restored = quantize(vectors, precision).restore()
    np.testing.assert_array_equal(restored, np.where(vectors > 0, 1, -1))


def test_the_public_function_returns_codes_with_their_ranges() -> None:
    quantized = bothways.quantize(random_vectors(20, 13), "int8")
    assert repr(quantized) == "QuantizedVectors(20 x 13, int8)"
    assert np.asarray(quantized).shape == (20, 13)
    assert len(quantized) == 20


@pytest.mark.parametrize(
    ("vectors", "precision", "ranges", "message"),
    [
        (np.zeros(3, np.float32), "int8", None, "shape"),
        (np.zeros((2, 3), np.int8), "int8", None, "floating point"),
        (np.array([[1.0], [np.nan]]), "int8", None, "vector 1 holds NaN"),
        (np.zeros((1, 3), np.float32), "int8", None, "at least two"),
        (np.zeros((2, 3), np.float32), "int8", np.zeros((2, 4)), r"expected \(2, 3\)"),
        (np.zeros((2, 3), np.float32), "int8", np.array([[1.0] * 3, [0.0] * 3]), "lowest"),
        (np.zeros((2, 3), np.float32), "int4", None, "int8, uint8, binary, ubinary"),
    ],
)
def test_vectors_that_cannot_be_quantized(
    vectors: np.ndarray, precision: Any, ranges: np.ndarray | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        quantize(vectors, precision, ranges)


@pytest.mark.parametrize("function", [quantization_ranges, partial(quantize, precision="binary")])
def test_masked_vectors_are_refused(function: Callable[[np.ndarray], object]) -> None:
    vectors = np.ma.masked_array(np.ones((3, 2)), mask=[[False] * 2, [False, True], [False] * 2])
    with pytest.raises(InputError, match="vector 1 holds masked values"):
        function(vectors)
