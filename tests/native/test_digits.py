"""fp32 keeps its digits where a bias is much larger than the sum that it is added to."""

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
