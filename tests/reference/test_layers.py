import math

import numpy as np
import pytest

from bothways.model.config import EncoderConfig, Norm
from bothways.reference.layers import activate, erf, linear, normalize, under

ROUNDING = 1e-14
"""float64 rounding of a few operations on numbers near 1."""
ERF_ROUNDING = 1e-13
"""The series adds up to 160 terms, each rounded."""
FLOAT32_ERF_ROUNDING = 2e-6
"""The same in float32."""


@pytest.fixture
def x() -> np.ndarray:
    return np.linspace(-8, 8, 641)[None]


def test_erf_equals_the_c_library(x: np.ndarray) -> None:
    expected = [math.erf(number) for number in x[0]]
    assert np.abs(erf(x)[0] - expected).max() < ERF_ROUNDING


def test_erf_is_precise_in_float32(x: np.ndarray) -> None:
    found = erf(x.astype(np.float32))
    assert found.dtype == np.float32
    assert np.abs(found[0] - [math.erf(number) for number in x[0]]).max() < (FLOAT32_ERF_ROUNDING)


def test_gelu_is_the_erf_form(x: np.ndarray) -> None:
    expected = [number * (1 + math.erf(number / math.sqrt(2))) / 2 for number in x[0]]
    assert np.abs(activate(x, "gelu")[0] - expected).max() < 8 * ERF_ROUNDING


def test_gelu_tanh_is_its_approximation(x: np.ndarray) -> None:
    difference = np.abs(activate(x, "gelu_tanh") - activate(x, "gelu")).max()
    assert 1e-5 < difference < 1e-3  # the published approximation errs by less than 0.0005


def test_silu_and_relu_by_hand() -> None:
    x = np.array([[-1.0, 0.0, 2.0]])
    expected = [-1 / (1 + math.e), 0.0, 2 / (1 + math.exp(-2))]
    assert np.abs(activate(x, "silu")[0] - expected).max() < ROUNDING
    assert activate(x, "relu").tolist() == [[0.0, 0.0, 2.0]]


def test_a_linear_map_multiplies_by_the_transpose() -> None:
    w = {"up.weight": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])}
    x = np.array([[1.0, 10.0]])
    assert linear(x, w, "up").tolist() == [[21.0, 43.0, 65.0]]
    assert linear(x, w | {"up.bias": np.ones(3)}, "up").tolist() == [[22.0, 44.0, 66.0]]


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_a_norm_has_unit_variance_then_gain_and_bias(norm: Norm) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=2, d_ff=1, vocab_size=1, norm=norm, norm_eps=0.5
    )
    w = {"n.weight": np.array([2.0, 3.0]), "n.bias": np.array([10.0, 20.0])}
    found = normalize(np.array([[1.0, 5.0]]), w, "n", config)
    if norm == "layer":  # mean 3, variance 4
        expected = [10 - 2 * 2 / math.sqrt(4.5), 20 + 2 * 3 / math.sqrt(4.5)]
    else:  # mean square 13
        expected = [10 + 1 * 2 / math.sqrt(13.5), 20 + 5 * 3 / math.sqrt(13.5)]
    assert np.abs(found - [expected]).max() < ROUNDING * 20


def test_a_prefix_selects_weights_by_whole_names() -> None:
    w = {"blocks.1.a": 1, "blocks.10.a": 2, "blocks.1": 3}
    assert under("blocks.1", w) == {"a": 1}
