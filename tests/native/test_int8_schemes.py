"""Int8 products of the engine equal their definition in NumPy, in the scheme of each processor."""

from typing import cast

import numpy as np
import pytest

from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.native import NativeBackend, available_isas, int8_scheme
from bothways.reference.int8 import (
    Int8Scheme,
    linear_int8,
    quantize_activations,
    quantize_weights,
)
from bothways.reference.layers import activate, linear, normalize

RELU_LOWER = 0.0


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("gated", [False, True])
def test_the_feed_forward_equals_its_definition(isa: str, gated: bool) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=100, d_ff=150, max_length=40, vocab_size=50,
        norm_placement="pre", activation="relu", gated=gated,
    )  # fmt: skip
    weights = initialize(config, scale=0.1)
    weights["blocks.0.attention.output.weight"][:] = 0
    rng = np.random.default_rng(0)
    weights["blocks.0.feed_forward.up.weight"][:4] = 0.2  # flat rows have the largest norms
    batch = PackedBatch.of([rng.integers(0, 50, 40)])
    backend = NativeBackend(config, weights, precision="int8", isa=isa)
    before, after = backend.hidden_states(batch, [0, 1])

    block = {
        name.removeprefix("blocks.0."): np.asarray(a, np.float64) for name, a in weights.items()
    }
    x = normalize(before.astype(np.float64), block, "feed_forward_norm", config)
    exact = _feed_forward(x, block, config, None)
    scheme = cast("Int8Scheme", backend.int8_scheme)
    defined = _feed_forward(x, block, config, scheme)
    actual = after - before
    quantization_error = np.abs(defined - exact).mean()
    # A value near the middle of two codes may round differently.
    assert np.abs(actual - defined).mean() < 0.02 * quantization_error
    assert scheme == int8_scheme(isa)


def _feed_forward(
    x: np.ndarray, w: dict[str, np.ndarray], config: EncoderConfig, scheme: Int8Scheme | None
) -> np.ndarray:
    def apply(x: np.ndarray, name: str, lower: float | None = None) -> np.ndarray:
        name = f"feed_forward.{name}"
        if scheme is None:
            product: np.ndarray = linear(x, w, name)
            return product
        product = linear_int8(x, w[f"{name}.weight"], scheme, lower)
        return product + w.get(f"{name}.bias", 0)

    up = apply(x, "up")
    if config.gated:
        return apply(activate(apply(x, "gate"), config.activation) * up, "down")
    return apply(activate(up, config.activation), "down", RELU_LOWER)


@pytest.mark.parametrize("lower", [None, -0.17])
@pytest.mark.parametrize("kind", ["random", "flat", "one large", "zeros"])
def test_sums_of_sums16_fit_into_16_bits(kind: str, lower: float | None) -> None:
    """Whatever the weights and inputs: here those whose products are largest, too."""
    rng = np.random.default_rng(1)
    weight = {
        "random": rng.standard_normal((24, 70)),
        "flat": rng.choice([-0.5, 0.5], (24, 70)) if lower is None else np.full((24, 70), 0.5),
        "one large": np.where(np.arange(70) % 9 == 0, 5.0, 1e-3) * np.ones((24, 1)),
        "zeros": np.zeros((24, 70)),
    }[kind]
    x = np.concatenate([weight, -weight]) * 7  # parallel to a row of weights
    x = x if lower is None else np.maximum(x, lower)
    weights = quantize_weights(weight, "sums16").code
    activations = quantize_activations(x, "sums16", lower).code
    assert np.abs(weights).max() <= 127
    assert np.abs(activations).max() <= (63 if lower is None else 127)
    inputs = np.arange(70)
    for group in range(3):
        for part in (0, 1):
            columns = (inputs // 32 == group) & (inputs % 4 // 2 == part)
            assert np.abs(activations[:, columns] @ weights[:, columns].T).max() <= 32767
