from typing import get_args

import numpy as np
import pytest

from bothways.model.config import PoolingMode
from bothways.reference.pooling import pool

X = np.array([[1.0, -8.0], [2.0, 0.0], [6.0, 5.0]])

EXPECTED: dict[PoolingMode, list[float]] = {
    "cls": [1.0, -8.0],
    "last": [6.0, 5.0],
    "max": [6.0, 5.0],
    "mean": [3.0, -1.0],
    "mean_sqrt_len": [9 / 3**0.5, -3 / 3**0.5],
    "weighted_mean": [(1 + 4 + 18) / 6, (-8 + 15) / 6],
    "mean_content": [3.5, -1.5],
}
WITHOUT_THE_FIRST: dict[PoolingMode, list[float]] = {
    "cls": [2.0, 0.0],
    "last": [6.0, 5.0],
    "max": [6.0, 5.0],
    "mean": [4.0, 2.5],
    "mean_sqrt_len": [8 / 2**0.5, 5 / 2**0.5],
    "weighted_mean": [(4 + 18) / 5, 15 / 5],
    "mean_content": [6.0, 5.0],
}
CONTENT = np.array([True, False, True])


@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_each_mode_by_hand(mode: PoolingMode) -> None:
    assert pool(X, mode, content_L=CONTENT) == pytest.approx(EXPECTED[mode])
    assert pool(X, mode, skip=1, content_L=CONTENT) == pytest.approx(WITHOUT_THE_FIRST[mode])


@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_one_position_pools_to_itself(mode: PoolingMode) -> None:
    assert pool(X[:1], mode).tolist() == X[0].tolist()


@pytest.mark.parametrize(("skip", "content"), [(0, [0, 0, 0]), (1, [1, 0, 0]), (1, None)])
def test_without_content_all_positions_are_pooled(skip: int, content: list[int] | None) -> None:
    content_L = None if content is None else np.array(content, dtype=bool)
    pooled = pool(X, "mean_content", skip=skip, content_L=content_L)
    assert pooled.tolist() == pool(X, "mean", skip=skip).tolist()
