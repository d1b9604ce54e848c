import numpy as np
import pytest
import torch

from bothways.model.config import EncoderConfig
from bothways.model.rotary import Rotation
from bothways.nn import Lengths
from bothways.nn.positions import add_positions, bias_by_distance, make_table, rotate, sinusoids
from bothways.reference import rotate as reference_rotate
from bothways.reference import sinusoids as reference_sinusoids
from bothways.reference.positions import bias_by_distance as reference_bias_by_distance

ROUNDING = 1e-12
"""float64 rounding of a few dozen operations on numbers near 1."""
ANGLE_ROUNDING = 1e-13
"""float64 rounding of sines and cosines of up to 300 radians."""


def test_sinusoids_equal_the_definition() -> None:
    for width in (1, 6, 7):
        expected = reference_sinusoids(300, width, like=np.zeros(1))
        found = sinusoids(300, width, torch.device("cpu"))
        assert np.abs(found.numpy() - expected).max() < ANGLE_ROUNDING


def test_each_sequence_is_rotated_from_its_own_start() -> None:
    lengths = Lengths([40, 7, 7, 1])
    rotation = Rotation((1.0, 0.3, 0.01), magnitude=1.5)
    x = torch.randn(lengths.num_tokens, 2, 6, dtype=torch.float64)
    found = rotate(x, lengths, rotation)
    parts = torch.split(x, list(lengths.each))
    expected = [reference_rotate(p.transpose(0, 1), rotation).transpose(0, 1) for p in parts]
    assert (found - torch.cat(expected)).abs().max() < ROUNDING


def test_half_precision_is_rotated_in_float32() -> None:
    lengths = Lengths([5000])
    x = torch.randn(5000, 1, 4).bfloat16()
    found = rotate(x, lengths, Rotation((1.0, 0.1)))
    expected = rotate(x.float(), lengths, Rotation((1.0, 0.1)))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected.bfloat16())


@pytest.mark.parametrize(("buckets", "farthest"), [(4, 2), (8, 20), (32, 128), (64, 1000)])
def test_the_bias_of_each_distance_equals_the_definition(buckets: int, farthest: int) -> None:
    config = EncoderConfig(
        num_layers=1,
        num_heads=3,
        d_model=6,
        d_ff=2,
        vocab_size=2,
        position_embedding="none",
        attention_positions="relative",
        relative_buckets=buckets,
        relative_max_distance=farthest,
    )
    table = torch.randn(buckets, 3)
    found = bias_by_distance(table, 600, config)
    expected = reference_bias_by_distance(table, 600, config)
    assert found.shape == (3, 1199)
    for query in (0, 1, 300, 599):
        assert torch.equal(found[:, 599 - query : 1199 - query], expected[:, query])


def test_learned_positions_need_their_table() -> None:
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=2, d_ff=2, vocab_size=2)
    assert make_table(config, "relative_bias") is None
    with pytest.raises(ValueError, match="none was given"):
        add_positions(torch.ones(3, 2), torch.zeros(3).long(), Lengths([3]), config, None)
