import math
from collections.abc import Callable

import numpy as np
import pytest

from bothways.model.config import EncoderConfig
from bothways.reference.attention import (
    bias_by_distance,
    rotate,
    scaled_dot_product,
    self_attention,
    softmax,
)

ROUNDING = 1e-12
"""float64 rounding of a few dozen operations on numbers near 1."""


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_rows_of_the_softmax_sum_to_one(rng: np.random.Generator) -> None:
    prob = softmax(rng.standard_normal((2, 5, 7)))
    assert (prob > 0).all()
    assert np.abs(prob.sum(-1) - 1).max() < ROUNDING


def test_the_softmax_of_huge_scores_is_finite() -> None:
    prob = softmax(np.array([[[1e30, 1e30, -1e30]]]))
    assert prob.tolist() == [[[0.5, 0.5, 0.0]]]


def test_equal_keys_draw_the_mean_of_the_values(rng: np.random.Generator) -> None:
    q, v = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 4, 3))
    mixed, prob = scaled_dot_product(q, np.ones((2, 4, 3)), v)
    assert np.abs(prob - 1 / 4).max() < ROUNDING
    assert np.abs(mixed - v.mean(1, keepdims=True)).max() < ROUNDING


def test_scores_are_divided_by_the_root_of_the_head_width() -> None:
    q, k = np.full((1, 1, 4), 3.0), np.array([[[1.0] * 4, [0.0] * 4]])
    _, prob = scaled_dot_product(q, k, k)  # scores 12 / √4 and 0
    assert prob[0, 0, 0] == pytest.approx(1 / (1 + math.exp(-6)), abs=ROUNDING)


@pytest.mark.parametrize("window", [0, 1, 3, 8, 100])
def test_a_window_zeroes_exactly_what_is_farther(rng: np.random.Generator, window: int) -> None:
    q, k, v = rng.standard_normal((3, 2, 9, 4))
    _, prob = scaled_dot_product(q, k, v, window=window)
    near = np.abs(np.subtract.outer(np.arange(9), np.arange(9))) <= window
    assert ((prob > 0) == near).all()
    assert np.abs(prob.sum(-1) - 1).max() < ROUNDING


def test_a_window_of_zero_returns_the_values(rng: np.random.Generator) -> None:
    q, k, v = rng.standard_normal((3, 2, 9, 4))
    mixed, _ = scaled_dot_product(q, k, v, window=0)
    assert (mixed == v).all()


def test_a_bias_is_added_to_the_scores(rng: np.random.Generator) -> None:
    q, k, v = rng.standard_normal((3, 2, 5, 4))
    bias = rng.standard_normal((2, 5, 5))
    _, prob = scaled_dot_product(q, k, v, bias)
    score = np.einsum("hlk,hmk->hlm", q, k) / 2 + bias
    expected = np.exp(score) / np.exp(score).sum(-1, keepdims=True)
    assert np.abs(prob - expected).max() < ROUNDING


def test_a_rotation_keeps_lengths_and_leaves_the_first_position(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 6, 8))
    turned = rotate(x, (1.0, 0.3, 0.1, 0.01))
    assert np.abs(np.linalg.norm(turned, axis=-1) - np.linalg.norm(x, axis=-1)).max() < ROUNDING
    assert (turned[:, 0] == x[:, 0]).all()


def test_a_rotation_turns_each_pair_by_its_frequency() -> None:
    x = np.zeros((1, 3, 4))
    x[..., 0] = x[..., 1] = 1.0  # pairs are (0, 2) and (1, 3)
    turned = rotate(x, (0.5, 0.25))[0, 2]
    expected = [math.cos(1), math.cos(0.5), math.sin(1), math.sin(0.5)]
    assert np.abs(turned - expected).max() < ROUNDING


def test_rotated_scores_depend_on_the_distance_alone(rng: np.random.Generator) -> None:
    frequencies = (1.0, 0.2, 0.04)
    q = rotate(np.broadcast_to(rng.standard_normal(6), (1, 10, 6)), frequencies)
    k = rotate(np.broadcast_to(rng.standard_normal(6), (1, 10, 6)), frequencies)
    score = q[0] @ k[0].T
    for distance in range(-9, 10):
        diagonal = np.diagonal(score, distance)
        assert np.abs(diagonal - diagonal[0]).max() < ROUNDING


def _buckets(length: int, buckets: int, max_distance: int) -> np.ndarray:
    """Which bucket each pair of positions uses: read off a table whose entries are their rows."""
    config = EncoderConfig(
        num_layers=1,
        num_heads=1,
        d_model=2,
        d_ff=2,
        vocab_size=2,
        positions="relative",
        relative_buckets=buckets,
        relative_max_distance=max_distance,
    )
    table = np.arange(buckets, dtype=np.float64)[:, None]
    return np.asarray(bias_by_distance(table, length, config)[0])


def test_near_distances_have_a_bucket_each_in_both_directions() -> None:
    bucket = _buckets(8, 32, 128)
    assert bucket[7].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]  # keys before the query
    assert bucket[0].tolist() == [0, 17, 18, 19, 20, 21, 22, 23]  # keys after it


def test_far_distances_share_buckets_on_a_logarithmic_scale() -> None:
    """8 buckets, 4 a direction: 0, 1, then 2 to 5 and the rest, for √(2 · 18) = 6."""
    after = _buckets(40, 8, 18)[0]
    assert after[:12].tolist() == [0, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7]
    assert (after[12:] == 7).all()


def test_buckets_never_shrink_with_the_distance() -> None:
    for buckets, max_distance in ((4, 2), (8, 9), (32, 128), (64, 250)):
        before = _buckets(300, buckets, max_distance)[299][::-1]
        assert (np.diff(before) >= 0).all()
        assert before.max() == buckets // 2 - 1


def test_attention_returns_its_probabilities(
    make_weights: Callable[..., dict[str, np.ndarray]],
) -> None:
    config = EncoderConfig(
        num_layers=2, num_heads=2, d_model=8, d_ff=4, vocab_size=2, windows=(None, 1)
    )
    weights = {
        name.removeprefix("blocks.0."): array for name, array in make_weights(config).items()
    }
    x = np.random.default_rng(0).standard_normal((5, 8))
    for layer, seen in ((0, 25), (1, 13)):
        mixed, prob = self_attention(x, weights, config, layer)
        assert mixed.shape == (5, 8)
        assert prob.shape == (2, 5, 5)
        assert [np.count_nonzero(head) for head in prob] == [seen, seen]
