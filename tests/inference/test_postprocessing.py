"""What follows pooling: dense layers, dimensions, unit length."""

from typing import get_args

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.inference.postprocessing import apply_modules, first_dimensions, to_unit_length
from bothways.model.pooling import Dense, DenseActivation, Normalize

EXACT = 1e-6  # a few float32 operations on numbers of order 1


def test_modules_run_in_their_order() -> None:
    x = np.array([[1.0, 2.0]], dtype=np.float32)
    double = Dense(2, 2)
    weights = {
        "modules.0.weight": 2 * np.eye(2, dtype=np.float32),
        "modules.0.bias": np.ones(2, np.float32),
    }
    np.testing.assert_allclose(apply_modules(x, (double,), weights), [[3, 5]], atol=EXACT)
    unit = np.array([[3, 5]]) / np.sqrt(34)
    np.testing.assert_allclose(apply_modules(x, (double, Normalize()), weights), unit, atol=EXACT)


@pytest.mark.parametrize("activation", get_args(DenseActivation))
def test_every_activation_of_a_dense_layer_is_known(activation: DenseActivation) -> None:
    formulas = {
        "identity": 0.5,
        "tanh": 0.46211716,
        "sigmoid": 0.62245933,
        "relu": 0.5,
        "gelu": 0.34573123,
        "gelu_tanh": 0.345714,
        "silu": 0.31122967,
    }
    dense = Dense(1, 1, bias=False, activation=activation)
    weights = {"modules.0.weight": np.eye(1, dtype=np.float32)}
    activated = apply_modules(np.array([[0.5]], dtype=np.float32), (dense,), weights)
    np.testing.assert_allclose(activated, formulas[activation], atol=EXACT)


def test_a_dense_layer_of_another_width_is_refused() -> None:
    weights = {"modules.0.weight": np.eye(3, dtype=np.float32)}
    with pytest.raises(InputError, match="gives 2 dimensions, and the model's dense layer takes 3"):
        apply_modules(np.ones((1, 2), np.float32), (Dense(3, 3, bias=False),), weights)


def test_a_zero_vector_stays_zero() -> None:
    np.testing.assert_array_equal(to_unit_length(np.zeros((1, 3), np.float32)), 0)


def test_huge_vectors_have_unit_length_too() -> None:
    huge = np.full((1, 4), 3e38, dtype=np.float32)
    np.testing.assert_allclose(to_unit_length(huge), 0.5, atol=EXACT)


def test_leading_dimensions_are_kept() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(first_dimensions(x, 2), [[0, 1], [3, 4]])
    assert first_dimensions(x, None) is x
    with pytest.raises(InputError, match="dimensions=4: expected 1 to 3"):
        first_dimensions(x, 4)
