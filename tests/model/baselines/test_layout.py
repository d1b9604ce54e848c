from typing import Any

import numpy as np
import pytest

from bothways.model.baselines import BASELINES, BaselineConfig, BaselineName
from bothways.model.baselines.layout import initialize, layout

FIELDS: dict[str, Any] = {"num_layers": 2, "width": 5, "embedding_width": 6, "vocab_size": 9}


@pytest.mark.parametrize("kind", BASELINES)
def test_fresh_weights_have_the_layout_and_are_the_same_for_the_same_seed(
    kind: BaselineName,
) -> None:
    config = BaselineConfig(**FIELDS, kind=kind)
    weights = initialize(config, seed=3)
    assert {name: array.shape for name, array in weights.items()} == layout(config)
    assert all(array.dtype == np.float32 for array in weights.values())
    again, other = initialize(config, seed=3), initialize(config, seed=4)
    assert all((weights[name] == again[name]).all() for name in weights)
    assert any((weights[name] != other[name]).any() for name in weights)


def test_the_next_layer_takes_both_directions() -> None:
    names = layout(BaselineConfig(**FIELDS, kind="gru"))
    assert names["layers.0.rightward.weight_ih_l0"] == (15, 6)
    assert names["layers.1.leftward.weight_ih_l0"] == (15, 10)


def test_one_direction_has_no_other() -> None:
    names = layout(BaselineConfig(**FIELDS, kind="gru-forward"))
    assert not any("leftward" in name for name in names)
    assert names["layers.1.rightward.weight_ih_l0"] == (15, 5)


def test_a_block_of_a_bag_sees_one_position_and_of_a_convolution_three() -> None:
    assert layout(BaselineConfig(**FIELDS, kind="bag"))["layers.1.up.weight"] == (5, 6)
    assert layout(BaselineConfig(**FIELDS, kind="convolution"))["layers.1.up.weight"] == (5, 18)


def test_vectors_come_in_through_a_linear_map() -> None:
    fields = FIELDS | {"input": "vectors", "vocab_size": 0, "num_channels": 3}
    names = layout(BaselineConfig(**fields, kind="rnn"))
    assert names["embedding.input.weight"] == (6, 3)
    assert "embedding.token.weight" not in names


def test_an_lstm_begins_by_remembering() -> None:
    bias = initialize(BaselineConfig(**FIELDS, kind="lstm"))["layers.0.rightward.bias_ih_l0"]
    assert bias.tolist() == [0] * 5 + [1] * 5 + [0] * 10


ROUNDING = 1e-6
"""Of products of orthogonal matrices in float32, with numbers of at most 1."""


@pytest.mark.parametrize(("kind", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_the_state_keeps_its_length_in_each_gate_at_first(kind: BaselineName, gates: int) -> None:
    weights = initialize(BaselineConfig(**FIELDS, kind=kind))
    for gate in np.split(weights["layers.1.leftward.weight_hh_l0"], gates):
        np.testing.assert_allclose(gate @ gate.T, np.eye(5), atol=ROUNDING)
