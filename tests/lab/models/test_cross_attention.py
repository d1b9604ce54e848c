import math

import pytest
import torch
from torch import Tensor

from bothways.errors import InputError
from bothways.lab.models.cross_attention import MultiHeadAttention, attend
from bothways.model.config import EncoderConfig
from bothways.nn import kernels
from bothways.nn.attention import MultiHeadSelfAttention
from bothways.nn.lengths import Lengths

TOLERANCE = 1e-5
"""For numbers around 1 in float32, summed over tens of terms."""

WIDTH, HEADS = 12, 3
MIXED = Lengths([4, 4, 1, 7])
OTHERS = Lengths([2, 5, 5, 5])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_attention_from_a_batch_to_itself_is_self_attention() -> None:
    config = EncoderConfig(num_layers=1, num_heads=HEADS, d_model=WIDTH, d_ff=1, vocab_size=1)
    self_attention = MultiHeadSelfAttention(config).eval()
    ours = MultiHeadAttention(WIDTH, WIDTH, HEADS)
    ours.load_state_dict(self_attention.state_dict())  # also checks that names and shapes agree
    x_TD = normal(MIXED.num_tokens, WIDTH)
    expected_TD = self_attention(x_TD, MIXED, 0)
    assert torch.allclose(ours(x_TD, MIXED, x_TD, MIXED), expected_TD, atol=TOLERANCE)


def test_the_kernel_from_a_batch_to_itself_is_the_kernel_of_the_encoder() -> None:
    q, k, v = (normal(MIXED.num_tokens, HEADS, 4, seed=seed) for seed in range(3))
    expected = kernels.attend(q, k, v, MIXED)
    assert torch.allclose(attend(q, k, v, MIXED, MIXED), expected, atol=TOLERANCE)


def test_attention_between_two_sequences_equals_the_formula() -> None:
    q_THK = normal(MIXED.num_tokens, HEADS, 4)
    k_SHK, v_SHK = (normal(OTHERS.num_tokens, HEADS, 4, seed=seed) for seed in (1, 2))
    mixed_THK = attend(q_THK, k_SHK, v_SHK, MIXED, OTHERS)
    sizes, others = list(MIXED.each), list(OTHERS.each)
    parts = zip(
        torch.split(mixed_THK, sizes),
        torch.split(q_THK, sizes),
        torch.split(k_SHK, others),
        torch.split(v_SHK, others),
        strict=True,
    )
    for mixed, q, k, v in parts:
        for head in range(HEADS):
            score_LM = q[:, head] @ k[:, head].T / math.sqrt(4)
            expected = torch.softmax(score_LM, -1) @ v[:, head]
            assert torch.allclose(mixed[:, head], expected, atol=TOLERANCE)


def test_gradients_reach_only_the_two_sequences_of_a_pair() -> None:
    attention = MultiHeadAttention(WIDTH, 5, HEADS)
    x_TD = normal(MIXED.num_tokens, WIDTH).requires_grad_()
    y_SE = normal(OTHERS.num_tokens, 5, seed=1).requires_grad_()
    second = attention(x_TD, MIXED, y_SE, OTHERS)[4:8]
    x_grad, y_grad = torch.autograd.grad(second.square().sum(), (x_TD, y_SE))
    is_key = torch.zeros(OTHERS.num_tokens, dtype=torch.bool)
    is_key[2:7] = True
    assert (y_grad.abs().sum(1) > 0).tolist() == is_key.tolist()
    is_query = torch.zeros(MIXED.num_tokens, dtype=torch.bool)
    is_query[4:8] = True
    assert (x_grad.abs().sum(1) > 0).tolist() == is_query.tolist()


def test_different_numbers_of_sequences_raise() -> None:
    attention = MultiHeadAttention(WIDTH, WIDTH, HEADS)
    x_TD = normal(6, WIDTH)
    with pytest.raises(InputError, match="2 query sequences and 3 key sequences"):
        attention(x_TD, Lengths([3, 3]), x_TD, Lengths([2, 2, 2]))
