import pytest
import torch

from bothways.model.config import EncoderConfig
from bothways.nn import Lengths, MultiHeadSelfAttention
from bothways.nn.attention import bias_by_distance, rotate
from bothways.reference import rotate as reference_rotate
from bothways.reference.attention import bias_by_distance as reference_bias_by_distance

ROUNDING = 1e-12
"""float64 rounding of a few dozen operations on numbers near 1."""


def test_each_sequence_is_rotated_from_its_own_start() -> None:
    lengths = Lengths([40, 7, 7, 1])
    frequencies = (1.0, 0.3, 0.01)
    x = torch.randn(lengths.num_tokens, 2, 6, dtype=torch.float64)
    found = rotate(x, lengths, frequencies)
    parts = torch.split(x, list(lengths.each))
    expected = [reference_rotate(p.transpose(0, 1), frequencies).transpose(0, 1) for p in parts]
    assert (found - torch.cat(expected)).abs().max() < ROUNDING


def test_half_precision_is_rotated_in_float32() -> None:
    lengths = Lengths([5000])
    x = torch.randn(5000, 1, 4).bfloat16()
    found = rotate(x, lengths, (1.0, 0.1))
    expected = rotate(x.float(), lengths, (1.0, 0.1))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected.bfloat16())


@pytest.mark.parametrize(("buckets", "farthest"), [(4, 2), (8, 20), (32, 128), (64, 1000)])
def test_the_bias_of_each_distance_is_the_definition_s(buckets: int, farthest: int) -> None:
    config = EncoderConfig(
        num_layers=1,
        num_heads=3,
        d_model=6,
        d_ff=2,
        vocab_size=2,
        positions="relative",
        relative_buckets=buckets,
        relative_max_distance=farthest,
    )
    table = torch.randn(buckets, 3)
    found = bias_by_distance(table, 600, config)
    expected = reference_bias_by_distance(table, 600, config)
    assert found.shape == (3, 1199)
    for query in (0, 1, 300, 599):
        assert torch.equal(found[:, 599 - query : 1199 - query], expected[:, query])


def test_the_layer_says_window_and_frequencies() -> None:
    """Layers that share a block share weights, and nothing else."""
    config = EncoderConfig(
        num_layers=3,
        num_heads=2,
        d_model=8,
        d_ff=4,
        vocab_size=2,
        positions="rotary",
        rotary_base_local=10.0,
        windows=(None, 2, 50),
        block_of_layer=(0, 0, 0),
    )
    attention = MultiHeadSelfAttention(config)
    x, lengths = torch.randn(9, 8), Lengths([9])
    everywhere, near, local = (attention.probabilities(x, lengths, layer) for layer in range(3))
    assert (everywhere > 0).all()
    assert (near > 0).sum() == 2 * (9 + 2 * 8 + 2 * 7)  # each head: the diagonal and two beside it
    assert not torch.allclose(everywhere, local)  # another base
