"""fp32 keeps its digits where a bias is much larger than the sum that it is added to."""

from typing import Any

import numpy as np
import pytest

from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.native import NativeBackend, available_isas

torch = pytest.importorskip("torch")

WIDTH = 64
LARGE_BIAS = 30.0


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("inputs", [512, 1536, 3072])
def test_a_large_bias_costs_no_digits(inputs: int, isa: str) -> None:
    """The embeddings of input vectors are one linear map: compare its error with torch's."""
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=WIDTH, d_ff=8, input="vectors", num_channels=inputs,
        position_embedding="none", embedding_norm=False,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((WIDTH, inputs)).astype(np.float32) / np.float32(inputs**0.5)
    bias = (LARGE_BIAS * rng.standard_normal(WIDTH)).astype(np.float32)
    x = rng.standard_normal((40, inputs)).astype(np.float32)
    expected = x.astype(np.float64) @ weight.T.astype(np.float64) + bias

    weights = initialize(config) | {
        "embedding.input.weight": weight,
        "embedding.input.bias": bias,
    }
    backend = NativeBackend(config, weights, isa=isa)
    (ours,) = backend.hidden_states(PackedBatch.of([x]), [0])
    theirs = torch.nn.functional.linear(*map(torch.from_numpy, (x, weight, bias))).numpy()
    error, torch_error = (np.abs(y - expected).mean() for y in (ours, theirs))
    assert error < 3 * torch_error


CONFIGS = 150


def test_random_configurations_keep_as_many_digits_as_torch() -> None:
    """Median and worst ratio of the error to torch's, both against the reference in float64."""
    from bothways.nn.backend import TorchBackend
    from bothways.reference.backend import ReferenceBackend

    rng = np.random.default_rng(0)
    isas = available_isas()
    ratios = []
    for number in range(CONFIGS):
        config = random_config(rng)
        weights = random_weights(config, rng)
        lengths = rng.integers(1, config.max_length + 1, 2)
        batch = PackedBatch.of([rng.integers(0, config.vocab_size, length) for length in lengths])
        expected, theirs, ours = (
            backend.hidden_states(batch, [config.num_layers])[0]
            for backend in (
                ReferenceBackend(config, weights, dtype=np.float64),
                TorchBackend(config, weights, device="cpu"),
                NativeBackend(config, weights, isa=isas[number % len(isas)]),
            )
        )
        error, torch_error = (np.abs(y - expected).mean() for y in (ours, theirs))
        ratios.append(error / torch_error)
    assert np.median(ratios) < 1.5
    assert max(ratios) < 3


def random_config(rng: np.random.Generator) -> EncoderConfig:
    num_layers, head = int(rng.integers(1, 3)), 2 * int(rng.integers(2, 17))
    num_heads = int(rng.integers(1, 4))
    fields: dict[str, Any] = {
        "activation": rng.choice(["relu", "gelu", "gelu_tanh", "silu"]),
        "attention_positions": rng.choice(["none", "rotary", "relative"]),
        "final_norm": bool(rng.integers(2)),
        "gated": bool(rng.integers(2)),
        "norm": rng.choice(["layer", "rms"]),
        "norm_placement": rng.choice(["post", "pre"]),
        "position_embedding": rng.choice(["learned", "none"]),
        "windows": tuple(None if rng.integers(2) else 5 for _ in range(num_layers)),
    }
    return EncoderConfig(
        num_layers=num_layers, num_heads=num_heads, d_model=num_heads * head,
        d_ff=int(rng.integers(1, 300)), max_length=int(rng.integers(1, 30)), vocab_size=40,
        **fields,
    )  # fmt: skip


def random_weights(config: EncoderConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Matrices that keep the scale of their inputs, and biases from small to 30 times as large."""
    weights = initialize(config, seed=int(rng.integers(1 << 30)), scale=config.d_model**-0.5)
    for name, array in weights.items():
        if name.endswith(".bias"):
            size = 10 ** rng.uniform(-1, 1.5) if "norm" not in name else 0.1
            array[:] = size * rng.standard_normal(array.shape)
        elif array.ndim == 1:
            array[:] = rng.uniform(0.5, 1.5, array.shape)
    return weights
