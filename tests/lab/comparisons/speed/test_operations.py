import math

import pytest
import torch

from bothways.lab.comparisons.speed.operations import OperationCount, count_operations
from bothways.model.baselines import matched_config
from bothways.model.baselines.layout import layout
from bothways.model.config import EncoderConfig
from bothways.nn.baselines import make_encoder
from bothways.nn.lengths import Lengths

LIKE = EncoderConfig(
    num_layers=2,
    num_heads=2,
    d_model=32,
    d_ff=64,
    vocab_size=16,
    position_embedding="none",
    attention_positions="rotary",
    max_length=64,
)


def _count(name: str, length: int) -> OperationCount:
    config = LIKE if name == "transformer" else matched_config(name, LIKE)  # type: ignore[arg-type]
    encoder = make_encoder(config, seed=0)
    return count_operations(encoder, torch.zeros(length, dtype=torch.long), Lengths([length]))


def test_the_operations_of_a_transformer_equal_its_formula() -> None:
    L, D, F = 24, LIKE.d_model, LIKE.d_ff
    per_layer = 4 * L * D * D + 2 * L * L * D + 2 * L * D * F  # multiply-adds
    assert _count("transformer", L).operations == LIKE.num_layers * 2 * per_layer


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "lstm-forward"])
def test_a_recurrent_layer_uses_each_weight_once_per_position(name: str) -> None:
    config = matched_config(name, LIKE)  # type: ignore[arg-type]
    matrices = {n: s for n, s in layout(config).items() if ".weight_" in n}
    expected = 24 * 2 * sum(math.prod(shape) for shape in matrices.values())
    assert _count(name, 24).operations == expected


@pytest.mark.parametrize("name", ["transformer", "convolution", "bag"])
def test_sequential_operations_of_parallel_encoders_do_not_grow_with_length(name: str) -> None:
    assert _count(name, 8).sequential == _count(name, 32).sequential


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "gru-forward"])
def test_sequential_operations_of_recurrent_encoders_are_linear_in_length(
    name: str,
) -> None:
    chains = [_count(name, length).sequential for length in (8, 9, 24)]
    per_position = chains[1] - chains[0]
    assert per_position >= LIKE.num_layers
    assert chains[2] - chains[0] == 16 * per_position


def test_counting_does_not_change_the_encoder() -> None:
    encoder = make_encoder(LIKE, seed=0)
    before = {name: weight.clone() for name, weight in encoder.state_dict().items()}
    count_operations(encoder.train(), torch.zeros(4, dtype=torch.long), Lengths([4]))
    assert encoder.training
    for name, weight in encoder.state_dict().items():
        assert weight.dtype == before[name].dtype
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)
