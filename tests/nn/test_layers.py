from typing import get_args

import pytest
import torch

from bothways.model.config import Activation
from bothways.nn.layers import Linear, activate, can_pack
from bothways.reference import activate as reference_activate

FLOAT32_ROUNDING = 2e-6
"""Of numbers of up to about 10, after a product of 24 terms and an activation."""
FLOAT64_ROUNDING = 1e-12
"""The reference's series for erf adds up to 160 terms."""

CPU = torch.device("cpu")
needs_packing = pytest.mark.skipif(
    not can_pack(CPU, torch.float32), reason="this torch was built without oneDNN"
)


@pytest.mark.parametrize("activation", get_args(Activation))
def test_each_activation_is_the_definition_s(activation: Activation) -> None:
    x = torch.linspace(-8, 8, 500, dtype=torch.float64)[None]
    expected = reference_activate(x, activation)
    assert torch.allclose(activate(x, activation), expected, rtol=0, atol=FLOAT64_ROUNDING)


@needs_packing
@pytest.mark.parametrize("num_tokens", [1, 2, 7, 300])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [None, *get_args(Activation)])
def test_a_packed_map_equals_the_plain_one(
    activation: Activation | None, bias: bool, num_tokens: int
) -> None:
    torch.manual_seed(0)
    linear = Linear(24, 37, bias=bias)
    x = 4 * torch.randn(num_tokens, 24)
    with torch.inference_mode():
        exact = torch.nn.functional.linear(
            x.double(), linear.weight.double(), linear.bias.double() if bias else None
        )
        expected = exact if activation is None else activate(exact, activation)
        plain = linear(x, activation)
        linear.pack(linear.weight.detach())
        packed = linear(x, activation)
    assert (plain - expected).abs().max() < FLOAT32_ROUNDING
    assert (packed - expected).abs().max() < FLOAT32_ROUNDING


@needs_packing
def test_packing_drops_the_plain_weight() -> None:
    linear = Linear(24, 37)
    linear.pack(torch.zeros(37, 24))
    assert [name for name, _ in linear.named_parameters()] == ["bias"]


def test_only_float32_on_a_cpu_is_packed() -> None:
    assert not can_pack(torch.device("cuda"), torch.float32)
    assert not can_pack(CPU, torch.bfloat16)
    assert not can_pack(CPU, torch.float64)


def test_an_unpacked_map_computes_gradients() -> None:
    linear = Linear(4, 3)
    linear(torch.randn(5, 4), "gelu").sum().backward()
    assert linear.weight.grad is not None
    assert linear.weight.grad.abs().sum() > 0
