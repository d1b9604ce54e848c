"""Scans of stored vectors: results, and bits that depend on row and query alone."""

import numpy as np
import pytest

from bothways.errors import BackendError
from bothways.native import VectorScanner, available_isas


def random_vectors(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns), np.float32)


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("columns", [1, 7, 64, 384])
def test_dots_agree_with_float64(isa: str, columns: int) -> None:
    rows, queries = random_vectors(37, columns, 0), random_vectors(5, columns, 1)
    products, squares = VectorScanner(isa=isa).dots(rows, queries)
    expected = queries.astype(np.float64) @ rows.astype(np.float64).T
    np.testing.assert_allclose(products, expected, rtol=0, atol=2e-6 * columns)
    np.testing.assert_allclose(squares, (rows.astype(np.float64) ** 2).sum(1), rtol=1e-5)


@pytest.mark.parametrize("isa", available_isas())
def test_bits_depend_on_row_and_query_alone(isa: str) -> None:
    rows, queries = random_vectors(2003, 384, 0), random_vectors(11, 384, 1)
    products, squares = VectorScanner(threads=1, isa=isa).dots(rows, queries)
    threaded = VectorScanner(threads=3, isa=isa)
    for got, expected in zip(threaded.dots(rows, queries), (products, squares), strict=True):
        np.testing.assert_array_equal(got, expected)
    some_rows, some_queries = rows[5:18], queries[2:4]
    part, part_squares = threaded.dots(some_rows, some_queries)
    np.testing.assert_array_equal(part, products[2:4, 5:18])
    np.testing.assert_array_equal(part_squares, squares[5:18])


@pytest.mark.parametrize("isa", available_isas())
def test_hamming_counts_the_bits_that_differ(isa: str) -> None:
    rows = np.random.default_rng(0).integers(0, 2**63, (30_001, 6), np.uint64)
    query = rows[7] ^ np.uint64(0b1011)
    expected = np.unpackbits((rows ^ query).view(np.uint8), axis=1).sum(1)
    np.testing.assert_array_equal(VectorScanner(threads=2, isa=isa).hamming(rows, query), expected)
    assert expected[7] == 18


def test_no_rows_and_no_queries_are_no_results() -> None:
    scanner = VectorScanner(threads=2)
    products, squares = scanner.dots(np.empty((0, 8), np.float32), random_vectors(2, 8, 0))
    assert products.shape == (2, 0)
    assert squares.shape == (0,)
    products, squares = scanner.dots(random_vectors(2, 8, 0), np.empty((0, 8), np.float32))
    assert products.shape == (0, 2)
    assert squares.shape == (2,)
    assert scanner.hamming(np.empty((0, 1), np.uint64), np.zeros(1, np.uint64)).shape == (0,)


def test_different_numbers_of_columns_are_an_error() -> None:
    with pytest.raises(ValueError, match="number of columns"):
        VectorScanner(threads=1).dots(random_vectors(2, 8, 0), random_vectors(2, 7, 0))
    with pytest.raises(ValueError, match="number of words"):
        VectorScanner(threads=1).hamming(np.zeros((2, 3), np.uint64), np.zeros(2, np.uint64))


def test_an_unknown_instruction_set_is_an_error() -> None:
    with pytest.raises(BackendError, match="avx9"):
        VectorScanner(isa="avx9")
