from collections.abc import Callable

import numpy as np
import pytest
import torch

from bothways.inference.postprocessing import apply_modules
from bothways.model.config import EncoderConfig
from bothways.model.pooling import Dense, Normalize, PooledLayerNorm, Pooling, module_layout
from bothways.nn.lengths import Lengths
from bothways.reference import pool
from bothways.training.objectives.pooled import pooled_vectors, pooled_width

ROUNDING = 1e-5
"""Of float32."""

ACTIVATIONS = ("identity", "tanh", "sigmoid", "relu", "gelu", "gelu_tanh", "silu")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_vectors_are_those_that_encode_gives(activation: str, bias: bool) -> None:
    rng = np.random.default_rng(0)
    x_TD = rng.standard_normal((7, 4)).astype(np.float32)
    dense = Dense(8, 3, bias, activation)  # type: ignore[arg-type]
    modules, pooling = (dense, PooledLayerNorm(3), Normalize()), Pooling(("mean", "cls"))
    layout = module_layout(modules)
    weights = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in layout.items()}
    parts = np.split(x_TD, [4])
    pooled = np.stack([np.concatenate([pool(p, mode) for mode in pooling.modes]) for p in parts])
    expected = apply_modules(pooled, modules, weights)
    found = pooled_vectors(torch.from_numpy(x_TD), Lengths([4, 3]), pooling, modules, weights)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=ROUNDING)


def test_dense_layers_pass_gradients_and_are_not_trained() -> None:
    weight = np.ones((3, 4), np.float32)
    x_TD = torch.ones(2, 4, requires_grad=True)
    modules, weights = (Dense(4, 3, bias=False),), {"modules.0.weight": weight}
    pooled = pooled_vectors(x_TD, Lengths([2]), Pooling(), modules, weights)
    torch.autograd.backward(pooled.sum())
    assert x_TD.grad is not None
    assert x_TD.grad.tolist() == [[1.5] * 4] * 2
    assert (weight == 1).all()


def test_the_width_is_that_of_the_last_dense_layer(
    make_config: Callable[..., EncoderConfig],
) -> None:
    config, two = make_config(), Pooling(("mean", "max"))
    dense = Dense(64, 5)
    assert pooled_width(config, Pooling(), ()) == 32
    assert pooled_width(config, two, (Normalize(),)) == 64
    assert pooled_width(config, two, (dense, Normalize())) == 5
