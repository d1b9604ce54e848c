"""Signs of vectors as bits, and the rows nearest by Hamming distance."""

import numpy as np
import pytest

from bothways.model.quantization import quantize
from bothways.search.sign_bits import NearestBits, hamming_distances, pack_signs

VECTORS = np.random.default_rng(0).standard_normal((3000, 70)).astype(np.float32)
QUERIES = np.random.default_rng(1).standard_normal((3, 70)).astype(np.float32)


def expected_distances(query: np.ndarray) -> np.ndarray:
    distances: np.ndarray = ((VECTORS > 0) != (query > 0)).sum(axis=1)
    return distances


def test_the_bits_are_those_of_quantize() -> None:
    packed = pack_signs(VECTORS)
    assert packed.shape == (3000, 2)
    data = packed.view(np.uint8)
    np.testing.assert_array_equal(data[:, :9], quantize(VECTORS, "ubinary").codes)
    assert not data[:, 9:].any()


@pytest.mark.parametrize("built", [True, False])
def test_distances_count_the_dimensions_of_another_sign(
    built: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.native.is_built", lambda: built)
    distances = hamming_distances(pack_signs(VECTORS), pack_signs(QUERIES)[0])
    np.testing.assert_array_equal(distances, expected_distances(QUERIES[0]))


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("step", [100, 700, 3000])
def test_the_nearest_rows_do_not_depend_on_blocks(
    queries: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.search.sign_bits._BLOCK_BYTES", 16 * 500)
    bits = pack_signs(VECTORS)
    nearest = NearestBits(pack_signs(QUERIES[:queries]), 50)
    for start in range(0, len(bits), step):
        nearest.add(bits[start : start + step], start)
    for query, rows in zip(QUERIES, nearest.rows, strict=False):
        expected = np.argsort(expected_distances(query), kind="stable")[:50]
        np.testing.assert_array_equal(rows, np.sort(expected))


def test_only_selected_rows_are_found() -> None:
    selected = np.zeros(3000, bool)
    selected[[5, 17, 2999]] = True
    nearest = NearestBits(pack_signs(QUERIES[:1]), 50)
    nearest.add(pack_signs(VECTORS[:2000]), 0, selected)
    nearest.add(pack_signs(VECTORS[2000:]), 2000, selected)
    assert [rows.tolist() for rows in nearest.rows] == [[5, 17, 2999]]
