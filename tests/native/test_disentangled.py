"""Disentangled attention of the engine over several tiles of queries, keys and distances."""

from typing import Any

import numpy as np
import pytest

from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.native import NativeBackend, available_isas
from bothways.reference.backend import ReferenceBackend

LENGTHS = (330, 129, 127, 17)
FIELDS: dict[str, dict[str, Any]] = {
    "logarithmic": {"relative_buckets": 100, "relative_max_distance": 250},
    "one bucket per distance": {"relative_buckets": 2 * 330, "relative_log_buckets": False},
    "few buckets, windows": {
        "relative_buckets": 12,
        "relative_log_buckets": False,
        "windows": (150,),
        "attention_direction": "causal",
    },
    "queries alone": {"relative_buckets": 512, "position_to_content": False},
    "keys alone, shared": {
        "relative_buckets": 128,
        "relative_max_distance": 300,
        "content_to_position": False,
        "shared_position_projections": True,
        "num_key_value_heads": 1,
    },
}


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("name", FIELDS)
def test_long_sequences_equal_the_definition(isa: str, name: str) -> None:
    fields = {"relative_max_distance": 300} | FIELDS[name]
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=24, d_ff=8, max_length=400, vocab_size=50,
        position_embedding="none", attention_positions="disentangled", **fields,
    )  # fmt: skip
    weights = initialize(config, scale=0.5)
    rng = np.random.default_rng(0)
    batch = PackedBatch.of([rng.integers(0, 50, length) for length in LENGTHS])
    [found] = NativeBackend(config, weights, isa=isa, threads=2).hidden_states(batch, [1])
    [expected] = ReferenceBackend(config, weights, dtype=np.float64).hidden_states(batch, [1])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
