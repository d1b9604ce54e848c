import math
from collections.abc import Callable

import numpy as np
import pytest

from bothways.model.config import EncoderConfig
from bothways.reference.attention import scaled_dot_product, self_attention, softmax

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
