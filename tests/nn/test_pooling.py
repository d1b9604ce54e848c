from typing import get_args

import numpy as np
import pytest
import torch

from bothways.model.config import PoolingMode
from bothways.nn import Lengths, pool
from bothways.reference import pool as reference_pool

FLOAT32_ROUNDING = 1e-5
"""Of sums over 8,192 numbers."""


@pytest.mark.parametrize("skip", [0, 1, 4])
@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_each_sequence_is_pooled_as_the_definition_says(mode: PoolingMode, skip: int) -> None:
    each = [8192, 300, 300, 7, 5]
    content = np.random.default_rng(2).random(sum(each)) < 0.7
    content[-5:] = False
    lengths = Lengths(each, content=content)
    torch.manual_seed(0)
    x = torch.randn(lengths.num_tokens, 6) + 1
    found = pool(x, lengths, mode, skip=skip)
    flags = np.split(content, np.cumsum(each)[:-1])
    for row, part, content_L in zip(found, torch.split(x.double(), each), flags, strict=True):
        expected = reference_pool(part, mode, skip=skip, content_L=content_L)
        assert (row - expected).abs().max() < FLOAT32_ROUNDING * max(1, expected.abs().max())


@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_half_precision_is_pooled_in_float32(mode: PoolingMode) -> None:
    """300 ones: in bfloat16 their sum would stop at 256."""
    lengths = Lengths([300, 2])
    found = pool(torch.ones(302, 3, dtype=torch.bfloat16), lengths, mode)
    assert found.dtype == torch.float32
    expected = torch.tensor([300.0, 2.0]).sqrt() if mode == "mean_sqrt_len" else torch.ones(2)
    assert torch.allclose(found, expected[:, None].expand(2, 3))


@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_gradients_stay_within_a_sequence(mode: PoolingMode) -> None:
    lengths = Lengths([4, 3])
    x = torch.randn(7, 2, dtype=torch.float64, requires_grad=True)
    torch.autograd.backward(pool(x, lengths, mode)[1].sum())
    assert x.grad is not None
    assert not x.grad[:4].any()
    assert x.grad[4:].any()
    assert torch.autograd.gradcheck(lambda x: pool(x, lengths, mode, skip=1), x)
